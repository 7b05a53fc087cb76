//! Hosts that nginx's hash tables cannot tell apart. nginx's hash is public, so anyone can make as many as they want.

/// All lookalikes of the same length have the same hash, because `c0` and `an` have. At most 16,384 exist, of at least 40
/// bytes.
pub fn lookalike(number: usize, length: usize) -> String {
    let word: String = (0..14).map(|bit| if number >> bit & 1 == 0 { "c0" } else { "an" }).collect();
    let rest: Vec<String> = (word.len()..length).map(|at| if at % 30 == 28 { '.' } else { 'x' }.to_string()).collect();
    word + &rest.concat()
}
