//! How far results of the built-in functions lie from the true ones: `cargo xtask math`.
//!
//! The one idea: kernels are measured where they are fastest, over columns, beside correctly rounded results, which tell
//! which results are not correctly rounded; only of those is the true error computed, from 200 bits. Half of the inputs are
//! random bits, half spread over the range that matters, and some are neighbours of the worst ones so far; before all these come
//! inputs that others found to be hard. Functions of one `f32` are compared on all inputs.
//!
//! What is found is kept in testdata/math.tsv, and goes on from there: samples add up, the worst input stays. A campaign that
//! is interrupted loses a minute at most.

mod special;

use astro_float::{BigFloat, Consts, RoundingMode};
use kiln::{Engine, Function};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

/// What is to be measured.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Functions; all without any.
    functions: Vec<String>,
    /// Inputs of each function of `f64`.
    #[arg(long, default_value_t = 10_000_000)]
    samples: u64,
    /// Go on until so many inputs were measured in all, instead of `--samples` more.
    #[arg(long)]
    up_to: Option<u64>,
    /// Compare functions of one `f32` on all inputs instead.
    #[arg(long)]
    f32: bool,
    /// Where the random inputs begin; by default, behind those that were measured before.
    #[arg(long)]
    seed: Option<u64>,
}

/// A function that is measured.
struct Row {
    name: &'static str,
    nearest: fn(f64, f64) -> f64,
    nearest_f32: Option<fn(f32) -> f32>,
    exact: fn(&BigFloat, &BigFloat, &mut Consts) -> BigFloat,
    range: [f64; 2],
    /// The range of the second argument, if there is one.
    second: Option<[f64; 2]>,
}

/// Bits of exact results, and of what goes into them.
const PRECISION: usize = 256;
const NEAREST: RoundingMode = RoundingMode::ToEven;
/// Wrong results of functions of `f32` that are shown.
const MOST_SHOWN: u64 = 100;
/// Rows of a column call.
const ROWS: usize = 1 << 16;

macro_rules! rows {
    ($($name:ident $nearest:ident $nearest_f32:ident [$low:expr, $high:expr] |$x:ident, $c:ident| $exact:expr;)*) => {
        [$(Row {
            name: stringify!($name),
            nearest: |x, _| core_math::$nearest(x),
            nearest_f32: Some(core_math::$nearest_f32),
            exact: |$x, _, $c| $exact,
            range: [$low, $high],
            second: None,
        }),*]
    };
}

/// The number, exactly. Subnormal ones are not taken as they are.
fn big(v: f64) -> BigFloat {
    let (up, down) = (2f64.powi(200), 2f64.powi(-200));
    if v.abs() < f64::MIN_POSITIVE {
        let scaled = BigFloat::from_f64(v * up, PRECISION);
        return scaled.mul(&BigFloat::from_f64(down, PRECISION), PRECISION, NEAREST);
    }
    BigFloat::from_f64(v, PRECISION)
}

fn one() -> BigFloat {
    BigFloat::from_f64(1.0, PRECISION)
}

/// e^x - 1 and log(1 + x), which need more bits where x is small.
const MORE: usize = 1400;

fn table() -> Vec<Row> {
    let mut rows: Vec<Row> = rows! {
        exp exp expf [-750.0, 712.0] |x, c| x.exp(PRECISION, NEAREST, c);
        exp2 exp2 exp2f [-1080.0, 1026.0] |x, c| BigFloat::from_f64(2.0, PRECISION).pow(x, PRECISION, NEAREST, c);
        exp10 exp10 exp10f [-325.0, 310.0] |x, c| BigFloat::from_f64(10.0, PRECISION).pow(x, PRECISION, NEAREST, c);
        expm1 expm1 expm1f [-40.0, 712.0] |x, c| x.exp(MORE, NEAREST, c).sub(&one(), MORE, NEAREST);
        log log logf [0.0, 10.0] |x, c| x.ln(PRECISION, NEAREST, c);
        log2 log2 log2f [0.0, 10.0] |x, c| x.log2(PRECISION, NEAREST, c);
        log10 log10 log10f [0.0, 10.0] |x, c| x.log10(PRECISION, NEAREST, c);
        log1p log1p log1pf [-1.0, 10.0] |x, c| one().add(x, MORE, NEAREST).ln(MORE, NEAREST, c);
        sin sin sinf [-100.0, 100.0] |x, c| x.sin(PRECISION, NEAREST, c);
        cos cos cosf [-100.0, 100.0] |x, c| x.cos(PRECISION, NEAREST, c);
        tan tan tanf [-100.0, 100.0] |x, c| x.tan(PRECISION, NEAREST, c);
        asin asin asinf [-1.0, 1.0] |x, c| x.asin(PRECISION, NEAREST, c);
        acos acos acosf [-1.0, 1.0] |x, c| x.acos(PRECISION, NEAREST, c);
        atan atan atanf [-10.0, 10.0] |x, c| x.atan(PRECISION, NEAREST, c);
        sinh sinh sinhf [-20.0, 20.0] |x, c| x.sinh(PRECISION, NEAREST, c);
        cosh cosh coshf [-20.0, 20.0] |x, c| x.cosh(PRECISION, NEAREST, c);
        tanh tanh tanhf [-20.0, 20.0] |x, c| x.tanh(PRECISION, NEAREST, c);
        asinh asinh asinhf [-10.0, 10.0] |x, c| x.asinh(PRECISION, NEAREST, c);
        acosh acosh acoshf [1.0, 10.0] |x, c| x.acosh(PRECISION, NEAREST, c);
        atanh atanh atanhf [-1.0, 1.0] |x, c| x.atanh(PRECISION, NEAREST, c);
        cbrt cbrt cbrtf [-1000.0, 1000.0] |x, c| { let _ = c; x.cbrt(PRECISION, NEAREST) };
        sinpi sinpi sinpif [-10.0, 10.0] |x, c| {
            x.mul(&c.pi(PRECISION + 64, NEAREST), PRECISION + 64, NEAREST).sin(PRECISION, NEAREST, c)
        };
        cospi cospi cospif [-10.0, 10.0] |x, c| {
            x.mul(&c.pi(PRECISION + 64, NEAREST), PRECISION + 64, NEAREST).cos(PRECISION, NEAREST, c)
        };
        erf erf erff [-6.0, 6.0] |x, c| special::erf(x, c);
        erfc erfc erfcf [-6.0, 27.3] |x, c| special::erfc(x, c);
        gamma tgamma tgammaf [-185.0, 172.0] |x, c| special::gamma(x, c);
        lgamma lgamma lgammaf [-12.0, 12.0] |x, c| special::lgamma(x, c);
    }
    .into();
    rows.push(Row {
        name: "fact",
        nearest: |x, _| special::nearest_factorial(x),
        nearest_f32: None,
        exact: |x, _, c| special::fact(x, c),
        range: [0.0, 171.0],
        second: None,
    });
    rows.push(Row {
        name: "pow",
        nearest: core_math::pow,
        nearest_f32: None,
        exact: |x, y, c| x.pow(y, PRECISION, NEAREST, c),
        range: [0.0, 50.0],
        second: Some([-50.0, 50.0]),
    });
    rows.push(Row {
        name: "hypot",
        nearest: core_math::hypot,
        nearest_f32: None,
        exact: |x, y, _| {
            let square = |v: &BigFloat| v.mul(v, PRECISION, NEAREST);
            square(x).add(&square(y), PRECISION, NEAREST).sqrt(PRECISION, NEAREST)
        },
        range: [-10.0, 10.0],
        second: Some([-10.0, 10.0]),
    });
    rows.push(Row {
        name: "atan2",
        nearest: core_math::atan2,
        nearest_f32: None,
        exact: |y, x, c| {
            let angle = y.div(x, PRECISION, NEAREST).atan(PRECISION, NEAREST, c);
            if x.is_positive() {
                return angle;
            }
            let pi = c.pi(PRECISION, NEAREST);
            if y.is_positive() { angle.add(&pi, PRECISION, NEAREST) } else { angle.sub(&pi, PRECISION, NEAREST) }
        },
        range: [-10.0, 10.0],
        second: Some([-10.0, 10.0]),
    });
    rows
}

/// What is known of a function.
#[derive(Clone, Default)]
struct Found {
    samples: u64,
    misrounded: u64,
    /// In units in the last place of the true result.
    error: f64,
    input: [f64; 2],
}

/// A sequence that looks random enough (SplitMix64).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn between(&mut self, [low, high]: [f64; 2]) -> f64 {
        low + (high - low) * (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

/// The value, nearly.
fn value(v: &BigFloat) -> f64 {
    let Some((words, _, sign, exponent, _)) = v.as_raw_parts() else { return f64::NAN };
    let top = words.last().map_or(0.0, |&word| word as f64 / 18_446_744_073_709_551_616.0);
    let size = top * 2f64.powi(exponent.clamp(-1000, 1000));
    if sign == astro_float::Sign::Neg { -size } else { size }
}

/// How far `got` is from the true result, in units in the last place of the latter.
fn error(row: &Row, input: [f64; 2], got: f64, consts: &mut Consts) -> f64 {
    if !got.is_finite() {
        return f64::INFINITY;
    }
    let [x, y] = input.map(big);
    let exact = (row.exact)(&x, &y, consts);
    let Some((_, _, _, exponent, _)) = exact.as_raw_parts() else { return f64::NAN };
    let left = exact.sub(&big(got), PRECISION, NEAREST);
    // The true result is from 1/2 to 1 times 2^exponent; units below the normal range are all alike.
    let unit = (exponent - 53).max(-1074);
    let scale = |v: BigFloat, by: i32| v.mul(&BigFloat::from_f64(2f64.powi(by), PRECISION), PRECISION, NEAREST);
    value(&scale(scale(left, -unit / 2), -unit - -unit / 2)).abs()
}

/// The worst inputs that were met, one of each binade, from which others are tried.
struct Summits(Vec<(f64, [f64; 2])>);

impl Summits {
    const MOST: usize = 16;

    /// Takes the input if it is worse than another.
    fn note(&mut self, error: f64, input: [f64; 2]) {
        let binade = |x: f64| x.to_bits() >> 52;
        let is_near = |other: &(f64, [f64; 2])| binade(other.1[0]) == binade(input[0]);
        let least = |one: &&mut (f64, [f64; 2]), other: &&mut (f64, [f64; 2])| one.0.total_cmp(&other.0);
        let place = match self.0.iter().position(is_near) {
            Some(at) => self.0.get_mut(at),
            None if self.0.len() < Self::MOST => return self.0.push((error, input)),
            None => self.0.iter_mut().min_by(least),
        };
        if let Some(place) = place.filter(|place| place.0 < error) {
            *place = (error, input);
        }
    }

    /// An input near one of them: from the next number to far away.
    fn near(&self, random: &mut Random) -> [f64; 2] {
        let Some((_, input)) = self.0.get(random.bits() as usize % self.0.len().max(1)) else { return [1.0, 1.0] };
        input.map(|x| {
            let step = random.bits() >> (20 + random.bits() % 44);
            let bits = x.to_bits();
            f64::from_bits(if step & 1 == 0 { bits.wrapping_add(step / 2) } else { bits.wrapping_sub(step / 2) })
        })
    }
}

/// Inputs: half of them random bits, half in the range, every sixteenth a neighbour of one of the worst so far.
fn fill(row: &Row, random: &mut Random, summits: &Summits, columns: &mut [Vec<f64>; 2]) {
    let ranges = [row.range, row.second.unwrap_or_default()];
    for i in 0..ROWS {
        let input = match i % 16 {
            0 => summits.near(random),
            n if n % 2 == 1 => ranges.map(|range| random.between(range)),
            _ => [0; 2].map(|_| f64::from_bits(random.bits())),
        };
        for (column, x) in columns.iter_mut().zip(input) {
            column[i] = x;
        }
    }
}

/// One measurement.
struct Campaign<'a> {
    row: &'a Row,
    function: Function,
    consts: Consts,
    summits: Summits,
    found: Found,
    out: Vec<f64>,
}

impl Campaign<'_> {
    /// The worst input.
    fn input(&self) -> String {
        let [x, y] = self.found.input;
        if self.row.second.is_some() { format!("{x:e}, {y:e}") } else { format!("{x:e}") }
    }

    fn save(&self) -> Result<(), String> {
        let Found { samples, misrounded, error, .. } = self.found;
        save(self.row.name, format!("{samples}\t{misrounded}\t{error:.4}\t{}", self.input()))
    }

    /// Compares the results of these inputs.
    fn compare(&mut self, columns: &[Vec<f64>; 2]) -> Result<(), String> {
        self.out.resize(columns[0].len(), 0.0);
        let run = if self.row.second.is_some() {
            self.function.eval_columns(&[&columns[0], &columns[1]], &mut self.out)
        } else {
            self.function.eval_columns(&[&columns[0]], &mut self.out)
        };
        run.map_err(|error| error.to_string())?;
        for (i, &got) in self.out.iter().enumerate() {
            let input = [columns[0][i], columns[1][i]];
            let nearest = (self.row.nearest)(input[0], input[1]);
            if got == nearest || got.is_nan() && nearest.is_nan() {
                continue;
            }
            self.found.misrounded += 1;
            let is_number = nearest.is_finite();
            let error = if is_number { error(self.row, input, got, &mut self.consts) } else { f64::INFINITY };
            self.summits.note(error, input);
            if error > self.found.error || error.is_nan() {
                (self.found.error, self.found.input) = (error, input);
            }
        }
        Ok(())
    }
}

/// A number as C writes it: `-0x1.8p-3`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (size, sign) = text.strip_prefix('-').map_or((text, 1.0), |size| (size, -1.0));
    let (mantissa, exponent) = size.strip_prefix("0x")?.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let exponent = exponent.parse::<i32>().ok()? - 4 * fraction.len() as i32;
    // In two steps, neither of which rounds where the number itself is one.
    Some(sign * digits as f64 * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2))
}

/// Inputs that others found to be hard; none where the list is absent.
fn hard_inputs(name: &str) -> [Vec<f64>; 2] {
    let path = crate::root().join("../shared/data/worst_inputs.tsv");
    let mut columns = [vec![], vec![]];
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("no hard inputs: {} is absent", path.display());
        return columns;
    };
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let is_one = match fields[..] {
            [function, "f64", ..] => function == name || function.strip_prefix('t') == Some(name),
            _ => false,
        };
        if let Some(x) = fields.get(2).and_then(|x| hexadecimal(x)).filter(|_| is_one) {
            columns[0].push(x);
            columns[1].push(fields.get(3).and_then(|y| hexadecimal(y)).unwrap_or(1.0));
        }
    }
    columns
}

/// Measures; what was found so far is saved often enough that little is lost with the process.
fn measure(campaign: &mut Campaign<'_>, samples: u64, mut random: Random) -> Result<(), String> {
    const BETWEEN_SAVES: u64 = 1 << 24;
    let hard = hard_inputs(campaign.row.name);
    campaign.compare(&hard)?;
    let mut columns = [vec![0.0; ROWS], vec![0.0; ROWS]];
    let end = campaign.found.samples + samples;
    while campaign.found.samples < end {
        fill(campaign.row, &mut random, &campaign.summits, &mut columns);
        campaign.compare(&columns)?;
        campaign.found.samples += ROWS as u64;
        if campaign.found.samples.is_multiple_of(BETWEEN_SAVES) {
            campaign.save()?;
        }
    }
    campaign.save()
}

/// Compares all 2^32 inputs; gives how many results are not the nearest, and the first such input.
fn measure_f32(nearest: fn(f32) -> f32, function: &Function) -> Result<(u64, Option<f32>), String> {
    let (mut wrong, mut first) = (0, None);
    let mut out = vec![0f32; ROWS];
    for high in 0..=u32::from(u16::MAX) {
        let inputs: Vec<f32> = (0..ROWS as u32).map(|low| f32::from_bits(high << 16 | low)).collect();
        function.eval_columns(&[&inputs], &mut out).map_err(|error| error.to_string())?;
        for (&x, &got) in inputs.iter().zip(&out) {
            let want = nearest(x);
            if got.to_bits() != want.to_bits() && !(got.is_nan() && want.is_nan()) {
                wrong += 1;
                first = first.or(Some(x));
                if wrong <= MOST_SHOWN {
                    println!("{:08x} {x:e}: {got:e} is not {want:e} ({:08x})", x.to_bits(), want.to_bits());
                }
            }
        }
    }
    Ok((wrong, first))
}

fn file() -> PathBuf {
    crate::root().join("testdata/math.tsv")
}

const HEAD: &str = "# What `cargo xtask math` has found: function, samples, how many were not the nearest number, largest error in units
# in the last place, its input. For `f32`: all inputs, and how many were not the nearest number.\n";

/// The lines of the file, by function and type.
fn load() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('\t').map(|(name, rest)| (name.to_owned(), rest.to_owned()))).collect()
}

fn save(name: &str, rest: String) -> Result<(), String> {
    let mut lines = load();
    match lines.iter_mut().find(|line| line.0 == name) {
        Some(line) => line.1 = rest,
        None => lines.push((name.to_owned(), rest)),
    }
    lines.sort();
    let mut text = HEAD.to_owned();
    for (name, rest) in lines {
        let _ = writeln!(text, "{name}\t{rest}");
    }
    std::fs::write(file(), text).map_err(|error| error.to_string())
}

/// What the file knows of a function.
fn known(name: &str) -> Found {
    let lines = load();
    let Some((_, rest)) = lines.iter().find(|line| line.0 == name) else { return Found::default() };
    let fields: Vec<&str> = rest.split('\t').collect();
    let number = |i: usize| fields.get(i).and_then(|field| field.parse().ok()).unwrap_or(0.0);
    let input = |i: usize| fields.get(3).and_then(|field| field.split(", ").nth(i)?.parse().ok()).unwrap_or(0.0);
    Found { samples: number(0) as u64, misrounded: number(1) as u64, error: number(2), input: [input(0), input(1)] }
}

/// Measures, and prints what was found.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let engine = Engine::new();
    let table = table();
    if let Some(unknown) = arguments.functions.iter().find(|name| table.iter().all(|row| row.name != **name)) {
        let names: Vec<&str> = table.iter().map(|row| row.name).collect();
        return Err(format!("no reference for `{unknown}`; there is one for {}", names.join(", ")));
    }
    for row in
        table.iter().filter(|row| arguments.functions.is_empty() || arguments.functions.iter().any(|f| f == row.name))
    {
        let start = Instant::now();
        if arguments.f32 {
            let Some(nearest) = row.nearest_f32 else { continue };
            let function = compile(&engine, &format!("{}(x)", row.name), "x: f32")?;
            let (wrong, first) = measure_f32(nearest, &function)?;
            let at = first.map_or(String::new(), |x| format!("{x:e}"));
            println!("{} f32: {wrong} of 2^32 are not the nearest {at} ({:.0?})", row.name, start.elapsed());
            save(&format!("{} f32", row.name), format!("4294967296\t{wrong}\t\t{at}"))?;
            continue;
        }
        let (text, params) = if row.second.is_some() {
            (format!("{}(x, y)", row.name), "x: f64, y: f64")
        } else {
            (format!("{}(x)", row.name), "x: f64")
        };
        let found = known(row.name);
        let missing = arguments.up_to.map_or(arguments.samples, |most| most.saturating_sub(found.samples));
        let random = Random(arguments.seed.unwrap_or(found.samples ^ 0x5eed << 40));
        let mut campaign = Campaign {
            row,
            function: compile(&engine, &text, params)?,
            consts: Consts::new().map_err(|error| format!("{error:?}"))?,
            summits: Summits(vec![(found.error, found.input)]),
            found,
            out: Vec::new(),
        };
        measure(&mut campaign, missing, random)?;
        let Found { samples, misrounded, error, .. } = campaign.found;
        let share = 100.0 * misrounded as f64 / samples as f64;
        println!(
            "{}: {error:.4} units at {}; {share:.3} % of {samples} not the nearest ({:.0?})",
            row.name,
            campaign.input(),
            start.elapsed()
        );
    }
    Ok(())
}

fn compile(engine: &Engine, text: &str, params: &str) -> Result<Function, String> {
    engine.formula(text).params(params).compile().map_err(|error| error.to_string())
}
