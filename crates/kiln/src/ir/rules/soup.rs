//! Random functions, built with and without rules: equal values, an end to every chain of rules, and sound functions.

use super::tests::{Random, awkward, unspecified};
use crate::ir::Ref;
use crate::ir::build::{BuildOptions, Builder};
use crate::ir::eval::{Scratch, evaluate};
use crate::ir::verify::verify;
use crate::ops::{Op, Sig};
use crate::types::{Type, Value};

const PARAMS: [Type; 9] =
    [Type::I32, Type::I32, Type::I64, Type::I64, Type::F32, Type::F32, Type::F64, Type::F64, Type::Bool];

/// The same random nodes in two builders, by type.
#[derive(Default)]
pub(in crate::ir) struct Soup {
    pub(in crate::ir) plain: Builder,
    pub(in crate::ir) ruled: Builder,
    pairs: [Vec<(Ref, Ref)>; 5],
}

impl Soup {
    pub(in crate::ir) fn start(&mut self, options: BuildOptions) {
        self.plain.reset(BuildOptions { optimise: false, ..options });
        self.ruled.reset(options);
        self.pairs.iter_mut().for_each(Vec::clear);
        for ty in PARAMS {
            let pair = (self.plain.param(ty), self.ruled.param(ty));
            self.pairs[ty as usize].push(pair);
        }
    }

    fn operand(&mut self, ty: Type, random: &mut Random) -> (Ref, Ref) {
        let known = &self.pairs[ty as usize];
        match random.below(8) {
            0 | 1 => {
                let bits = random.pick(&awkward(ty));
                (self.plain.const_bits(ty, bits), self.ruled.const_bits(ty, bits))
            }
            // What was made last is used most, so that patterns grow deep.
            2..=4 => known[known.len() - 1 - random.below(known.len().min(3))],
            _ => random.pick(known),
        }
    }

    pub(in crate::ir) fn add_node(&mut self, random: &mut Random) {
        let op = random.pick(Op::ALL);
        let ty = random.pick(&Type::ALL);
        let (plain, ruled, result) = match op.row().sig {
            Sig::Same(n) | Sig::Test(n) if op.meaning(ty).is_some() => {
                let (a, b, c) = (self.operand(ty, random), self.operand(ty, random), self.operand(ty, random));
                let make = |b: &mut Builder, x: Ref, y: Ref, z: Ref| match n {
                    1 => b.raw1(op, x),
                    2 => b.raw2(op, x, y),
                    _ => b.raw3(op, x, y, z),
                };
                let plain = make(&mut self.plain, a.0, b.0, c.0);
                let ruled = make(&mut self.ruled, a.1, b.1, c.1);
                (plain, ruled, if matches!(op.row().sig, Sig::Test(_)) { Type::Bool } else { ty })
            }
            Sig::Select => {
                let p = self.operand(Type::Bool, random);
                let (a, b) = (self.operand(ty, random), self.operand(ty, random));
                (self.plain.select(p.0, a.0, b.0), self.ruled.select(p.1, a.1, b.1), ty)
            }
            Sig::Convert => {
                let to = random.pick(&Type::ALL);
                let a = self.operand(ty, random);
                if op == Op::Convert {
                    (self.plain.raw_convert(a.0, to), self.ruled.raw_convert(a.1, to), to)
                } else if ty.bits() == to.bits() {
                    (self.plain.bitcast(a.0, to), self.ruled.bitcast(a.1, to), to)
                } else {
                    return;
                }
            }
            _ => return,
        };
        self.pairs[result as usize].push((plain, ruled));
    }
}

/// Builds `count` soups and compares every node of each on a few inputs. Returns the number of values compared.
fn compare(count: usize, options: BuildOptions, seed: u64) -> u64 {
    let mut random = Random(seed);
    let mut soup = Soup::default();
    let (mut plain_values, mut ruled_values) = (Scratch::default(), Scratch::default());
    let mut compared = 0;
    for number in 0..count {
        soup.start(options);
        for _ in 0..40 {
            soup.add_node(&mut random);
        }
        let fits = verify(&soup.plain.func).and_then(|()| verify(&soup.ruled.func));
        assert_eq!(fits, Ok(()), "soup {number} of {seed}");
        for _ in 0..4 {
            let args: Vec<u64> = PARAMS
                .iter()
                .map(|&ty| {
                    let any = Value::from_bits(ty, random.next()).to_bits();
                    if random.below(4) == 0 { any } else { random.pick(&awkward(ty)) }
                })
                .collect();
            evaluate(&soup.plain.func, &args, &mut plain_values).unwrap();
            evaluate(&soup.ruled.func, &args, &mut ruled_values).unwrap();
            let open = unspecified(&soup.plain.func, &plain_values);
            for &(plain, ruled) in soup.pairs.iter().flatten() {
                let left = plain_values.value(&soup.plain.func, plain);
                let right = ruled_values.value(&soup.ruled.func, ruled);
                compared += 1;
                assert!(
                    open[plain.index()] || left.same(right),
                    "soup {number} of {seed}: {left} became {right} at {plain:?}, {ruled:?} by {:?}",
                    soup.ruled.fired
                );
            }
        }
    }
    compared
}

#[test]
fn rules_do_not_change_the_values_of_random_functions() {
    let start = std::time::Instant::now();
    let count = if cfg!(debug_assertions) { 4_000 } else { 40_000 };
    let compared = compare(count, BuildOptions { trace: true, ..BuildOptions::default() }, 1);
    println!("{count} functions, {compared} values, {:.0} functions/s", count as f64 / start.elapsed().as_secs_f64());
}

/// The fuel check of the builder is a debug assertion; here it is one of this test.
#[test]
fn rules_come_to_an_end() {
    let mut random = Random(5);
    let mut soup = Soup::default();
    for fast in [false, true] {
        for _ in 0..300 {
            soup.start(BuildOptions { fast, contract: fast, trace: true, ..BuildOptions::default() });
            for _ in 0..400 {
                soup.add_node(&mut random);
            }
            let nodes = soup.ruled.func.nodes.len();
            assert!(!soup.ruled.fuel_ran_out && nodes < 4000, "{nodes} nodes");
        }
    }
}
