//! Did you mean ...?
//!
//! Owns the distance between names. The one idea: letters exchanged, missing, added or wrong count one each, and a
//! suggestion must be near for its length. Deliberately does not know what the names are.

#![forbid(unsafe_code)]

/// Names from elsewhere, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("pwr", "pow"),
    ("expo", "exp"),
    ("logn", "log"),
    ("lg", "log10"),
    ("lb", "log2"),
    ("ceiling", "ceil"),
    ("int", "trunc"),
    ("fabs", "abs"),
    ("rsqrt", "recip"),
    ("fmodf", "fmod"),
    ("tgammaf", "gamma"),
    ("factorial", "fact"),
    ("mean", "mean"),
    ("iff", "if"),
    ("ifelse", "if"),
    ("sqr", "sqrt"),
    ("atan_2", "atan2"),
    ("float", "f64"),
    ("double", "f64"),
    ("single", "f32"),
    ("long", "i64"),
    ("modulo", "mod"),
    ("bitxor", "xor"),
];

/// The candidate nearest to `name`, if one is near.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == name.to_lowercase()).map(|(_, here)| *here);
    let letters: Vec<char> = name.chars().collect();
    let limit = match letters.len() {
        0 => return None,
        1..=2 => 1,
        3..=5 => 2,
        6..=40 => 3,
        _ => return None,
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate == name {
            continue;
        }
        if Some(candidate) == elsewhere {
            return Some(candidate);
        }
        let other: Vec<char> = candidate.chars().take(48).collect();
        if other.len().abs_diff(letters.len()) > limit {
            continue;
        }
        let distance = distance(&letters, &other);
        // Less than half the letters may differ, and nearer is better; the first wins.
        let near = distance <= limit && distance * 2 <= letters.len().max(other.len());
        if near && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name)
}

/// Edits between two names; a difference of case alone counts nothing but is never 0.
fn distance(a: &[char], b: &[char]) -> usize {
    let same = |x: char, y: char| x == y || x.to_lowercase().eq(y.to_lowercase());
    if a.len() == b.len() && a.iter().zip(b).all(|(&x, &y)| same(x, y)) {
        return 0;
    }
    let width = b.len() + 1;
    let mut rows = vec![0usize; width * (a.len() + 1)];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let wrong = usize::from(!same(a[i - 1], b[j - 1]));
                let mut d = (rows[(i - 1) * width + j] + 1).min(rows[i * width + j - 1] + 1);
                d = d.min(rows[(i - 1) * width + j - 1] + wrong);
                if i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) {
                    d = d.min(rows[(i - 2) * width + j - 2] + 1);
                }
                d
            };
        }
    }
    rows[width * (a.len() + 1) - 1]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names() {
        let names = ["log", "log2", "sin", "sqrt", "hypot", "x", "rate", "if", "abs", "ceil"];
        let near = |name: &str| nearest(name, names.iter().copied());
        #[rustfmt::skip]
        let table = [("lgo", Some("log")), ("sine", Some("sin")), ("sqr", Some("sqrt")), ("Sqrt", Some("sqrt")), ("hypo", Some("hypot")),
            ("raet", Some("rate")), ("X", Some("x")), ("iff", Some("if")), ("fabs", Some("abs")), ("ceiling", Some("ceil")), ("zzz", None), ("y", None)];
        for (name, expected) in table {
            assert_eq!(near(name), expected, "{name}");
        }
    }
}
