//! Names as small numbers.
//!
//! Owns `Symbols`: each distinct name of a formula is interned once, so that everything after the lexer compares and
//! indexes numbers. The one idea: keywords, constants and built-in functions are interned first and stay, so whether
//! a name is one of them is a comparison of its number.
//!
//! Obligations of an adder: a keyword or constant is one line in the table below. The hash is seeded, so that hostile
//! names cannot collide on purpose. Deliberately does not know what a name means.

#![forbid(unsafe_code)]

use std::hash::{BuildHasher, RandomState};

/// A name's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Symbol(pub(crate) u32);

/// Declares the fixed names in order; `Symbol::LAST_KEYWORD` ends the keywords.
macro_rules! fixed {
    ($($constant:ident = $text:literal),* $(,)?) => {
        /// The fixed names' texts, in the order of their numbers.
        pub(crate) const FIXED: &[&str] = &[$($text),*];
        #[allow(dead_code, reason = "all fixed names have a constant, used or not")]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "only a counter for the constants below")]
        #[derive(Clone, Copy)]
        enum Order { $($constant),* }
        #[allow(dead_code, reason = "all fixed names have a constant, used or not")]
        impl Symbol { $(pub(crate) const $constant: Symbol = Symbol(Order::$constant as u32);)* }
    };
}
fixed! {
    LET = "let", FN = "fn", VAR = "var", FOR = "for", WHILE = "while", IN = "in", IF = "if", ELSE = "else",
    AND = "and", OR = "or", NOT = "not", BREAK = "break", CONTINUE = "continue",
    // Constants.
    PI = "pi", TAU = "tau", E = "e", INF = "inf", NAN = "nan", TRUE = "true", FALSE = "false",
    GREEK_PI = "π", GREEK_TAU = "τ", INFINITY = "∞",
    // Names that the parser or the checker treats specially.
    WHERE = "where", F64 = "f64", F32 = "f32", I64 = "i64", I32 = "i32", BOOL = "bool",
    SUM = "sum", PROD = "prod", MIN = "min", MAX = "max", ANY = "any", ALL = "all", COUNT = "count",
    // Words of other languages, which are ordinary names here; where they can be no names the parser says what is meant.
    RETURN = "return", DEF = "def", FUNCTION = "function", ELIF = "elif", ELSEIF = "elseif", ELSIF = "elsif",
    RANGE = "range", MUT = "mut", THEN = "then",
}

impl Symbol {
    /// Is this a reserved word?
    pub(crate) fn is_keyword(self) -> bool {
        self.0 <= Symbol::CONTINUE.0
    }

    /// Can this be said of all values in a range: `sum(k^2 for k in 1..=n)`?
    pub(crate) fn is_aggregate(self) -> bool {
        self.0 >= Symbol::SUM.0 && self.0 <= Symbol::COUNT.0
    }

    /// Is this a constant: `pi`, `true`, `∞`?
    pub(crate) fn is_constant(self) -> bool {
        self.0 >= Symbol::PI.0 && self.0 <= Symbol::INFINITY.0
    }
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    start: u32,
    len: u32,
}

/// The names of one formula after the names that are always there.
pub(crate) struct Symbols {
    text: String,
    entries: Vec<Entry>,
    /// Open addressing; 0 is free, otherwise an entry's index plus 1. The length is a power of two.
    table: Vec<u32>,
    /// Slots taken since the presets, freed by `reset`.
    taken: Vec<u32>,
    presets: usize,
    preset_text: usize,
    seed: u64,
}

impl Symbols {
    /// The fixed names, then `presets` (names of functions).
    pub(crate) fn new<'a>(presets: impl Iterator<Item = &'a str>) -> Symbols {
        let seed = RandomState::new().hash_one(0u8) | 1;
        let (text, entries, table, taken) = (String::new(), Vec::new(), vec![0; 1024], Vec::new());
        let mut symbols = Symbols { text, entries, table, taken, presets: 0, preset_text: 0, seed };
        for name in FIXED.iter().copied().chain(presets) {
            symbols.intern(name);
        }
        symbols.presets = symbols.entries.len();
        symbols.preset_text = symbols.text.len();
        symbols.taken.clear();
        symbols
    }

    /// Forgets all but the presets.
    pub(crate) fn reset(&mut self) {
        for slot in self.taken.drain(..) {
            self.table[slot as usize] = 0;
        }
        self.entries.truncate(self.presets);
        self.text.truncate(self.preset_text);
    }

    /// How many names there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The name.
    pub(crate) fn name(&self, symbol: Symbol) -> &str {
        let entry = self.entries[symbol.0 as usize];
        &self.text[entry.start as usize..(entry.start + entry.len) as usize]
    }

    /// The number of a name that may not be there.
    pub(crate) fn find(&self, name: &str) -> Option<Symbol> {
        let hash = self.hash(name.as_bytes());
        self.probe(name, hash).ok()
    }

    /// The number of a name, new or known.
    pub(crate) fn intern(&mut self, name: &str) -> Symbol {
        let hash = self.hash(name.as_bytes());
        let slot = match self.probe(name, hash) {
            Ok(symbol) => return symbol,
            Err(slot) => slot,
        };
        let index = self.entries.len() as u32;
        self.entries.push(Entry { hash, start: self.text.len() as u32, len: name.len() as u32 });
        self.text.push_str(name);
        self.table[slot] = index + 1;
        self.taken.push(slot as u32);
        if self.entries.len() * 2 > self.table.len() {
            self.grow();
        }
        Symbol(index)
    }

    #[inline]
    fn probe(&self, name: &str, hash: u64) -> Result<Symbol, usize> {
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let index = self.table[slot];
            if index == 0 {
                return Err(slot);
            }
            let entry = &self.entries[index as usize - 1];
            if entry.hash == hash && entry.len as usize == name.len() {
                let text = &self.text.as_bytes()[entry.start as usize..entry.start as usize + name.len()];
                if text == name.as_bytes() {
                    return Ok(Symbol(index - 1));
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[inline]
    fn hash(&self, name: &[u8]) -> u64 {
        let mut hash = self.seed;
        for chunk in name.chunks(8) {
            let word = chunk.iter().fold(0u64, |word, &b| word << 8 | u64::from(b));
            let product = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
            hash = (product >> 64) as u64 ^ product as u64 ^ self.seed.rotate_left(23);
        }
        hash ^ hash >> 29
    }

    fn grow(&mut self) {
        let len = self.table.len() * 2;
        self.table.clear();
        self.table.resize(len, 0);
        self.taken.clear();
        let mask = len - 1;
        for (index, entry) in self.entries.iter().enumerate() {
            let mut slot = entry.hash as usize & mask;
            while self.table[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.table[slot] = index as u32 + 1;
            // During `new` there are no presets yet, and `new` clears the list at its end.
            if index >= self.presets {
                self.taken.push(slot as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_keeps_the_presets_only() {
        let mut symbols = Symbols::new(["sin", "cos"].into_iter());
        let sin = symbols.find("sin");
        let count = symbols.len();
        for round in 0..3 {
            for i in 0..3000 {
                symbols.intern(&format!("name_{round}_{i}"));
            }
            assert_eq!(symbols.find("name_0_5").is_some(), round == 0);
            let x = symbols.intern("x");
            assert_eq!(symbols.intern("x"), x);
            assert_eq!(symbols.name(x), "x");
            symbols.reset();
            assert_eq!((symbols.len(), symbols.find("sin"), symbols.find("x")), (count, sin, None));
        }
        assert_eq!(symbols.find("let"), Some(Symbol::LET));
        assert_eq!(symbols.find("bool"), Some(Symbol::BOOL));
        assert!(Symbol::CONTINUE.is_keyword() && !Symbol::PI.is_keyword());
        assert!(Symbol::PI.is_constant() && Symbol::INFINITY.is_constant() && !Symbol::WHERE.is_constant());
    }
}
