//! Hosts that nginx's tables cannot tell apart. Its hash is no secret, so that anybody can make as many as he wants.

/// Every one of them that is as long as another has the same hash, because `c0` and `an` have. At most 16,384, of at least 40 bytes.
pub fn lookalike(number: usize, length: usize) -> String {
    let word: String = (0..14).map(|bit| if number >> bit & 1 == 0 { "c0" } else { "an" }).collect();
    let rest: Vec<String> = (word.len()..length).map(|at| if at % 30 == 28 { '.' } else { 'x' }.to_string()).collect();
    word + &rest.concat()
}
