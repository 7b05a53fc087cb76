//! The pure difference between the fleet that must be and the snapshot that is: ordered, exact, printable steps.
