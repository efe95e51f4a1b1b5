//! SQL patterns: `%` is any text, `_` any letter, `[a-z]` and `[^a-z]` one of a set. A pattern without an
//! end to its bracket takes the bracket as a letter.

/// Whether the text fits the pattern. Both are expected in one case; the work is bounded by the product
/// of their lengths.
pub fn fits(text: &str, pattern: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let mut reached = vec![false; letters.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for part in parts(pattern) {
        reached = step(&part, &letters, &reached);
    }
    reached.last() == Some(&true)
}

enum Part {
    Any,
    One(Box<dyn Fn(char) -> bool>),
}

/// From the places of the text that were reached, the places that are reached after one more part.
fn step(part: &Part, letters: &[char], reached: &[bool]) -> Vec<bool> {
    match part {
        Part::Any => {
            let mut open = false;
            let spread = |here: &bool| {
                open |= *here;
                open
            };
            reached.iter().map(spread).collect()
        }
        Part::One(fits) => {
            let moved = letters.iter().zip(reached).map(|(letter, here)| *here && fits(*letter));
            std::iter::once(false).chain(moved).collect()
        }
    }
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        parts.push(match letter {
            '%' => Part::Any,
            '_' => Part::One(Box::new(|_| true)),
            '[' => match rest.split_once(']') {
                Some((set, after)) => {
                    rest = after;
                    Part::One(set_of(set))
                }
                None => Part::One(Box::new(|letter| letter == '[')),
            },
            exact => Part::One(Box::new(move |letter| letter == exact)),
        });
    }
    parts
}

fn set_of(text: &str) -> Box<dyn Fn(char) -> bool> {
    let (negated, text) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
    let letters: Vec<char> = text.chars().collect();
    let mut ranges = Vec::new();
    let mut rest = letters.as_slice();
    loop {
        rest = match rest {
            [from, '-', to, after @ ..] => {
                ranges.push(*from..=*to);
                after
            }
            [one, after @ ..] => {
                ranges.push(*one..=*one);
                after
            }
            [] => break,
        };
    }
    Box::new(move |letter| ranges.iter().any(|range| range.contains(&letter)) != negated)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn wildcards_stand_for_text_a_letter_or_a_set() {
        assert!(fits("northwind", "north%") && fits("northwind", "%wind") && fits("", "%"));
        assert!(fits("cat", "c_t") && !fits("cart", "c_t"));
        assert!(fits("cat", "[a-c]at") && !fits("bat", "[^a-c]at") && fits("rat", "[^a-c]at"));
        assert!(fits("a[b", "a[b"));
    }

    #[test]
    fn many_wildcards_stay_cheap() {
        assert!(!fits(&"a".repeat(2_000), &format!("{}b", "%a".repeat(200))));
    }
}
