//! The function table's promises: names, types, special values, exact cases, and accuracy.
//!
//! Special values are a table in text. Accuracy is measured against correctly rounded results, over random bit patterns,
//! over each function's own range, and over the inputs known to be hard, if their file is there; `--nocapture` prints
//! what was found, and with which input.

use super::*;
use crate::ir::build::BuildOptions;
use crate::ir::eval::{Scratch, evaluate};
use crate::types::Value;
use std::collections::HashSet;

/// Builds `name` over parameters of these types, which must be what the checker would pass.
fn build_call(b: &mut Builder, name: &str, types: &[Type], options: BuildOptions) {
    b.reset(options);
    let function = lookup(name).unwrap_or_else(|| panic!("no function `{name}`"));
    assert!(function.accepts(types.len()), "{name} with {} arguments", types.len());
    let params: Vec<Ref> = types.iter().map(|&ty| b.param(ty)).collect();
    let common = types[if function.rule.mixes(0) { 0 } else { 1 }];
    let args: Vec<Ref> = params.iter().enumerate().map(|(i, &p)| b.convert(p, function.argument(i, common))).collect();
    let result = (function.build)(b, &args);
    assert_eq!(b.ty(result), function.result(common), "result type of {name}");
    b.func.results.push(result);
}

/// The value of `name` at `args`; computed at run time and by folding, which must agree.
pub(super) fn call(name: &str, args: &[Value]) -> Value {
    let mut b = Builder::default();
    let types: Vec<Type> = args.iter().map(|v| v.ty()).collect();
    build_call(&mut b, name, &types, BuildOptions { optimise: false, ..BuildOptions::default() });
    let bits: Vec<u64> = args.iter().map(|v| v.to_bits()).collect();
    let mut scratch = Scratch::default();
    evaluate(&b.func, &bits, &mut scratch).unwrap();
    let value = scratch.results(&b.func).next().unwrap();

    b.reset(BuildOptions::default());
    let function = lookup(name).unwrap();
    let common = types[if function.rule.mixes(0) { 0 } else { 1 }];
    let constants: Vec<Ref> = args
        .iter()
        .enumerate()
        .map(|(i, &v)| {
            let constant = b.constant(v);
            b.convert(constant, function.argument(i, common))
        })
        .collect();
    let folded = (function.build)(&mut b, &constants);
    let folded = b.func.constant(folded).unwrap_or_else(|| panic!("{name} of constants does not fold"));
    assert!(folded.same(value), "{name} {args:?}: folded {folded}, executed {value}");
    value
}

#[test]
fn every_name_is_found_and_no_other() {
    let mut seen = HashSet::new();
    for function in all() {
        for name in std::iter::once(&function.name).chain(function.aliases) {
            assert!(seen.insert(*name), "{name} stands twice");
            assert!(std::ptr::eq(lookup(name).unwrap(), function), "{name}");
            assert!(lookup_reserved(name).is_none(), "{name} is reserved too");
        }
        assert!(function.signature.starts_with(&format!("{}(", function.name)), "{}", function.signature);
        assert!(function.least <= function.most && !function.doc.is_empty());
    }
    for name in ["", "sinn", "Sin", "SIN", "sum", "x", "ſin"] {
        assert!(lookup(name).is_none(), "{name}");
    }
    for reserved in reserved() {
        assert!(seen.insert(reserved.name) && !reserved.note.is_empty(), "{}", reserved.name);
        assert!(lookup_reserved(reserved.name).is_some());
    }
}

/// Every function name of the language's documentation.
#[test]
fn the_language_is_complete() {
    let names = "abs sign sqrt cbrt recip exp exp2 exp10 expm1 log ln log2 log10 log1p sin cos tan asin acos atan sinh \
        cosh tanh asinh acosh atanh sinpi cospi floor ceil round rint trunc frac deg2rad rad2deg erf erfc gamma lgamma \
        fact isnan isinf isfinite signbit popcount pow atan2 hypot fmod rem div mod min max fmin fmax copysign nextafter \
        ldexp step gcd lcm xor shl shr isclose if where clamp fma lerp smoothstep arcsin arccos arctan arctan2 arcsinh \
        arccosh arctanh power absolute sgn tgamma f64 f32 i64 i32 bool";
    for name in names.split_whitespace() {
        assert!(lookup(name).is_some(), "{name}");
    }
    let names = "sum mean count any all var std prod prev next row nrows cumsum cumprod cummin cummax ema first last \
        derivative isnull coalesce";
    for name in names.split_whitespace() {
        assert!(lookup_reserved(name).is_some() || row_function(name).is_some(), "{name}");
    }
    for row in row_functions() {
        let stands_alone = matches!(row.name, "min" | "max") || lookup(row.name).is_none();
        assert!(stands_alone && lookup_reserved(row.name).is_none(), "{}", row.name);
        assert!(row.signature.starts_with(&format!("{}(", row.name)) && row.least <= row.most && !row.doc.is_empty());
    }
}

#[test]
fn every_row_builds_at_every_type_that_it_admits() {
    let mut b = Builder::default();
    for function in all() {
        for ty in Type::ALL.into_iter().filter(|&ty| function.rule.class().admits(ty)) {
            let most = if function.most == MANY { 7 } else { function.most };
            for count in function.least..=most {
                let types: Vec<Type> =
                    (0..count as usize).map(|i| if function.rule.mixes(i) { ty } else { Type::Bool }).collect();
                for (optimise, checked) in [(true, false), (false, false), (true, true)] {
                    let options = BuildOptions { optimise, checked, ..BuildOptions::default() };
                    build_call(&mut b, function.name, &types, options);
                    let mut scratch = Scratch::default();
                    // Ones divide everything and overflow nothing.
                    let one: Vec<u64> =
                        types.iter().map(|&ty| crate::ops::conversion(Type::I32, ty)(1, 0, 0)).collect();
                    evaluate(&b.func, &one, &mut scratch).unwrap();
                }
            }
        }
    }
}

/// `function arguments = result`, for f64 and, where the arguments are exact there, f32.
const SPECIAL: &str = "
    abs -0 = 0; abs -inf = inf; abs nan = nan; abs -2.5 = 2.5
    sign 0 = 0; sign -0 = -0; sign nan = nan; sign -1e-310 = -1; sign inf = 1; sign -7 = -1
    copysign 2 -0 = -2; copysign -2 nan = 2; copysign inf -1 = -inf
    min 1 nan = nan; min 0 -0 = -0; min -0 0 = -0; min 3 1 2 = 1; min 5 = 5
    max nan 1 = nan; max 0 -0 = 0; max -0 0 = 0; max 3 1 4 2 = 4
    fmin 1 nan = 1; fmin nan 1 = 1; fmin nan nan = nan; fmin 0 -0 = -0; fmax nan -inf = -inf; fmax -0 0 = 0
    clamp 5 0 1 = 1; clamp -5 0 1 = 0; clamp 0.5 0 1 = 0.5; clamp 0.5 1 0 = 0; clamp 7 1 0 = 0; clamp nan 0 1 = nan
    floor -0 = -0; floor -0.5 = -1; ceil -0.5 = -0; ceil 0.5 = 1; trunc -1.5 = -1; trunc inf = inf
    rint 0.5 = 0; rint 1.5 = 2; rint -0.5 = -0; rint 2.5 = 2; round 0.5 = 1; round -2.5 = -3; round 0.49999999999999994 = 0
    round nan = nan; round -inf = -inf
    frac 2.75 = 0.75; frac -2.75 = -0.75; frac -2 = -0; frac 0 = 0; frac -0 = -0; frac inf = nan; frac nan = nan
    sqrt -0 = -0; sqrt -1 = nan; sqrt inf = inf; cbrt -27 = -3; cbrt -0 = -0; cbrt inf = inf; cbrt 1e-300 = 1e-100
    recip 0 = inf; recip -0 = -inf; recip inf = 0; recip 4 = 0.25
    exp 0 = 1; exp -0 = 1; exp -inf = 0; exp inf = inf; exp nan = nan; exp 1000 = inf; exp -1000 = 0
    exp2 -inf = 0; exp2 inf = inf; exp2 10 = 1024; exp2 -3 = 0.125; exp2 0 = 1
    exp10 0 = 1; exp10 2 = 100; exp10 -3 = 0.001; exp10 22 = 1e22; exp10 23 = 1e23; exp10 308 = 1e308; exp10 309 = inf
    exp10 -320 = 1e-320; exp10 -400 = 0; exp10 500 = inf; exp10 inf = inf; exp10 -inf = 0; exp10 nan = nan; exp10 -0 = 1
    expm1 -0 = -0; expm1 0 = 0; expm1 -inf = -1; expm1 inf = inf; expm1 nan = nan; expm1 1e-320 = 1e-320
    expm1 709.782712893384 = 1.7976931348622732e308; expm1 709.7827128933841 = inf; expm1 -40 = -1; expm1 -5e-324 = -5e-324
    log 0 = -inf; log -0 = -inf; log 1 = 0; log inf = inf; log -1 = nan; log -inf = nan; ln 1 = 0
    log2 8 = 3; log2 0.125 = -3; log2 0 = -inf; log2 1 = 0; log2 -1 = nan; log10 1000 = 3; log10 1e15 = 15; log10 1 = 0
    log10 1e-5 = -5; log10 0 = -inf; log1p -0 = -0; log1p 0 = 0; log1p -1 = -inf; log1p -2 = nan; log1p inf = inf
    log1p 1e-320 = 1e-320; log1p -5e-324 = -5e-324; log1p 1.7976931348623157e308 = 709.782712893384; log1p nan = nan
    log1p -inf = nan; log1p 1e-17 = 1e-17
    log 8 2 = 3; log 1000 10 = 3; log 243 3 = 5; log 125 5 = 3; log 0.25 4 = -1; log 1 7 = 0; log 0 3 = -inf
    log -1 3 = nan; log inf 3 = inf; log 5 1 = inf; log 3 -3 = nan; log 3 9 = 0.5; log 0.5 8 = -0.3333333333333333; log nan 2 = nan; log 2 nan = nan
    sin 0 = 0; sin -0 = -0; sin inf = nan; sin 1e-310 = 1e-310; cos 0 = 1; cos -inf = nan; tan -0 = -0; tan inf = nan
    asin -0 = -0; asin 1 = 1.5707963267948966; asin 1.5 = nan; acos 1 = 0; acos -1 = 3.141592653589793; acos 2 = nan
    atan -0 = -0; atan inf = 1.5707963267948966; atan -inf = -1.5707963267948966
    atan2 0 0 = 0; atan2 -0 0 = -0; atan2 0 -0 = 3.141592653589793; atan2 -0 -0 = -3.141592653589793
    atan2 0 -1 = 3.141592653589793; atan2 -0 1 = -0; atan2 1 0 = 1.5707963267948966; atan2 -1 -0 = -1.5707963267948966
    atan2 1 inf = 0; atan2 -1 inf = -0; atan2 1 -inf = 3.141592653589793; atan2 inf 1 = 1.5707963267948966
    atan2 inf inf = 0.7853981633974483; atan2 -inf inf = -0.7853981633974483; atan2 inf -inf = 2.356194490192345
    atan2 nan 1 = nan; atan2 1 nan = nan; atan2 0 nan = nan
    sinpi 0 = 0; sinpi -0 = -0; sinpi 1 = 0; sinpi -1 = -0; sinpi 2 = 0; sinpi -2 = -0; sinpi 0.5 = 1; sinpi -0.5 = -1
    sinpi 1.5 = -1; sinpi 2.5 = 1; sinpi -1.5 = 1; sinpi 1e300 = 0; sinpi -1e300 = -0; sinpi inf = nan; sinpi nan = nan
    sinpi 2251799813685249.5 = -1
    cospi 0 = 1; cospi 0.5 = 0; cospi -0.5 = 0; cospi 1 = -1; cospi 1.5 = 0; cospi -1.5 = 0; cospi 2 = 1; cospi 1e300 = 1
    cospi 9007199254740991 = -1; cospi inf = nan; cospi 2.5 = 0
    deg2rad 180 = 3.141592653589793; rad2deg 3.141592653589793 = 180; deg2rad -0 = -0; rad2deg inf = inf
    sinh -0 = -0; sinh -inf = -inf; cosh 0 = 1; cosh -inf = inf; tanh -0 = -0; tanh inf = 1; tanh -inf = -1
    asinh -0 = -0; asinh -inf = -inf; acosh 1 = 0; acosh 0.5 = nan; acosh inf = inf; acosh -inf = nan; acosh -1e10 = nan
    atanh -0 = -0; atanh 1 = inf; atanh -1 = -inf; atanh 2 = nan; atanh -2 = nan; atanh inf = nan; atanh nan = nan
    sinh 710.4758600739439 = 1.7976931348621744e308; sinh 710.475860073944 = inf; sinh -710.475860073944 = -inf
    cosh -710.4758600739439 = 1.7976931348621744e308; cosh 710.475860073944 = inf; sinh 1e308 = inf; cosh inf = inf
    sinh 5e-324 = 5e-324; sinh -1e-320 = -1e-320; sinh nan = nan; cosh nan = nan; cosh 5e-324 = 1; sinh inf = inf
    tanh 5e-324 = 5e-324; tanh -1e-320 = -1e-320; tanh nan = nan; tanh 20 = 1; tanh -1e300 = -1
    asinh 5e-324 = 5e-324; asinh -1e-320 = -1e-320; asinh nan = nan; asinh inf = inf; acosh nan = nan; acosh -1 = nan
    asinh 1.7976931348623157e308 = 710.475860073944; asinh -1.7976931348623157e308 = -710.475860073944
    acosh 1.7976931348623157e308 = 710.475860073944; acosh 1.0000000000000002 = 2.1073424255447014e-8
    atanh 5e-324 = 5e-324; atanh -1e-320 = -1e-320; atanh 0.9999999999999999 = 18.714973875118524
    erf -0 = -0; erf 0 = 0; erf inf = 1; erf -inf = -1; erf nan = nan; erf 5e-324 = 5e-324; erf -1e-310 = -1.1283791670955e-310
    erf 1e-300 = 1.1283791670955126e-300; erf 0.5 = 0.5204998778130465; erf 5.9 = 0.9999999999999999
    erf -5.92 = -0.9999999999999999; erf 6 = 1; erf -1e300 = -1
    erfc inf = 0; erfc -inf = 2; erfc 0 = 1; erfc -0 = 1; erfc nan = nan; erfc 5e-324 = 1; erfc 30 = 0; erfc 1e-17 = 1
    erfc 0.5 = 0.4795001221869535; erfc -0.5 = 1.5204998778130465; erfc 0.515625 = 0.4658769654515401; erfc -6 = 2; erfc -1e300 = 2
    erfc 26.5 = 2.2109076642637343e-307; erfc 27 = 5.23705e-319; erfc 27.2 = 1e-323; erfc 27.226017111108362 = 5e-324
    erfc 27.226017111108366 = 0; erfc 1e300 = 0
    gamma 0 = inf; gamma -0 = -inf; gamma 1 = 1; gamma 5 = 24; gamma 23 = 1124000727777607680000; gamma -1 = nan
    gamma inf = inf; gamma -inf = nan; gamma nan = nan; gamma 172 = inf; gamma -1e300 = nan; gamma -1e15 = nan; gamma 1e300 = inf
    gamma 0.5 = 1.772453850905516; gamma -0.5 = -3.544907701811032; gamma -1.5 = 2.363271801207355; gamma -2.5 = -0.9453087204829419
    gamma 171.6243769563027 = 1.7976931348622299e308; gamma 171.62437695630274 = inf; gamma 5e-324 = inf; gamma -5e-324 = -inf
    gamma 1e-300 = 9.999999999999999e299; gamma -1e-17 = -1e17; gamma -170.5 = -3.3127395215386074e-308; gamma -184.5 = -0
    gamma -185.5 = 0; gamma -1000.5 = -0; gamma -2251799813685249.5 = 0; gamma -4503599627370495.5 = 0; gamma -4503599627370497 = nan
    lgamma 1 = 0; lgamma 2 = 0; lgamma 0 = inf; lgamma -0 = inf; lgamma -3 = inf; lgamma inf = inf; lgamma -inf = inf
    lgamma nan = nan; lgamma 1e-300 = 690.7755278982137; lgamma -5e-324 = 744.4400719213812; lgamma 1.5 = -0.12078223763524522
    lgamma 1.0000000000000002 = -1.2816762426960008e-16; lgamma 2.0000000000000004 = 1.8775396131086244e-16
    lgamma 1e300 = 6.897755278982137e302; lgamma 2.5599833278516383e305 = 1.7976931348623157e308; lgamma 2.5599833278516387e305 = inf
    lgamma -0.5 = 1.2655121234846454; lgamma -100.5 = -364.90096830942736; lgamma -1e300 = inf; lgamma -4503599627370495.5 = -1.5782258434492883e17
    lgamma -2.4570247382208006 = 5.619192358950097e-17; lgamma -2.7476826467274127 = 1.733509244024501e-16
    lgamma -3.955294284858598 = -4.14382750757705e-16; lgamma -9.000002755714823 = 3.444263328391509e-11
    lgamma -9.99999972442663 = 1.7719543958825935e-9
    pow 2 10 = 1024; pow 0 0 = 1; pow nan 0 = 1; pow inf -0 = 1; pow 1 nan = 1; pow 1 inf = 1; pow -1 inf = 1
    pow -1 -inf = 1; pow 0 -1 = inf; pow -0 -1 = -inf; pow -0 -3 = -inf; pow -0 -2 = inf; pow 0 -0.5 = inf
    pow -0 -0.5 = inf; pow 0 -inf = inf; pow -0 -inf = inf; pow -0 3 = -0; pow 0 3 = 0; pow -0 2 = 0; pow -0 0.5 = 0
    pow 0.5 inf = 0; pow -0.5 inf = 0; pow 2 inf = inf; pow -2 inf = inf; pow 0.5 -inf = inf; pow 2 -inf = 0
    pow -inf -3 = -0; pow -inf -2 = 0; pow -inf 3 = -inf; pow -inf 2 = inf; pow -inf 0.5 = inf; pow inf 2 = inf
    pow inf -2 = 0; pow -8 0.5 = nan; pow -8 3 = -512; pow -2 -3 = -0.125; pow nan 1 = nan; pow 2 nan = nan
    pow -1 4503599627370497 = -1; pow -2 1e300 = inf; pow 10 15 = 1e15; pow 10 -2 = 0.01; pow 4 0.5 = 2
    hypot 3 4 = 5; hypot inf nan = inf; hypot nan -inf = inf; hypot nan 1 = nan; hypot 0 -0 = 0; hypot 1e200 0 = 1e200
    hypot 3e300 4e300 = 5e300; hypot 3e-320 4e-320 = 5e-320; hypot 1.5e308 1.5e308 = inf; hypot -3 = 3; hypot 2 3 6 = 7
    hypot nan 1 inf = inf; hypot 1 1 1 1 = 2; hypot 1 2 4 2 = 5; hypot 2 2 2 2 3 = 5; hypot 1 2 2 4 10 10 = 15
    ldexp 1 10 = 1024; ldexp 3 -2 = 0.75; ldexp 1 -1074 = 5e-324; ldexp 1 -1076 = 0; ldexp 5e-324 1074 = 1
    ldexp 1 1024 = inf; ldexp -0 5 = -0; ldexp inf -5000 = inf; ldexp 5e-324 2097 = 8.98846567431158e307; ldexp 1 1e30 = inf
    ldexp 1.5 2.9 = 6; ldexp 0 1e30 = 0; ldexp 1 -1e30 = 0
    fma 2 3 4 = 10; fma inf 0 1 = nan
    fmod 5.5 2 = 1.5; fmod -5.5 2 = -1.5; fmod -6 2 = -0; fmod 1 0 = nan; fmod inf 2 = nan; fmod 5 inf = 5; fmod 1e300 3 = 0
    rem -7 2 = -1; rem 7 -2 = 1; mod -7 2 = 1; mod 7 -2 = -1; mod 6 -3 = -0; mod -1 inf = inf
    div 7 2 = 3; div -7 2 = -3; div 7 -2 = -3; div 1 0 = inf; div 0 0 = nan; div -1 3 = -0; div 1 inf = 0; div -1 inf = -0
    div inf 2 = inf; div 1 0.1 = 9; div 9007199254740991 9007199254740992 = 0; div 1e308 1e-308 = inf
    nextafter 0 1 = 5e-324; nextafter 1 1 = 1; nextafter nan 1 = nan; nextafter 1.7976931348623157e308 inf = inf
    nextafter 1 2 = 1.0000000000000002; nextafter 5e-324 0 = 0; nextafter -5e-324 0 = -0
    lerp 2 4 0.25 = 2.5; lerp 1 3 2 = 5; lerp 0 inf 0 = nan
    step 1 0.5 = 0; step 1 1 = 1; step 1 2 = 1; step 0 nan = nan; step nan 0 = nan; step -0 0 = 1
    smoothstep 0 1 0.5 = 0.5; smoothstep 0 1 -3 = 0; smoothstep 0 1 9 = 1; smoothstep 0 1 nan = nan; smoothstep 2 4 3 = 0.5
    smoothstep 1 0 0.25 = 0.84375
    round 2.675 2 = 2.68; round 1.005 2 = 1.01; round -2.675 2 = -2.68; round 1234.5678 -2 = 1200; round 1250 -2 = 1300
    round 0.5 0 = 1; round -0.4 0 = -0; round 49 -2 = 0; round 50 -2 = 100; round 5 -2 = 0; round 5 -3 = 0; round 9.99 1 = 10
    round 1e22 3 = 1e22; round nan 2 = nan; round -inf 1 = -inf; round 0 5 = 0; round -0 2 = -0; round 5e-324 323 = 1e-323; round 4e-323 322 = 0
    round 5e-324 324 = 5e-324; round 1.5 99999 = 1.5; round 1.5 -99999 = 0; round 123456789 -8 = 100000000; round 0.1 20 = 0.1
    round 0.15 1 = 0.2; round 0.285 2 = 0.29; round 1.7e308 -308 = inf; round 9e307 -308 = 1e308; round 2.5 0.9 = 3
    fact 0 = 1; fact -0 = 1; fact 5 = 120; fact 170 = 7.257415615307999e306; fact 171 = inf; fact -1 = nan; fact -0.5 = nan
    fact inf = inf; fact nan = nan; fact 20 = 2432902008176640000
    fact 0.5 = 0.886226925452758; fact 170.5 = 9.4833675668248e307; fact 170.625 = inf; fact 5e-324 = 1; fact -1e-300 = nan; fact 1e300 = inf
    fact 3.2942820449330577 = 8.78789796784151; fact 7.491487222974709 = 13788.144847674723; fact 0.10487172582949256 = 0.9494049242709969
";

#[test]
fn special_values() {
    let parse = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("bad number {text}"));
    let mut wrong = Vec::new();
    let mut narrow_cases = 0;
    for case in SPECIAL.split([';', '\n']).map(str::trim).filter(|case| !case.is_empty()) {
        let (left, expected) = case.split_once(" = ").unwrap();
        let mut words = left.split_whitespace();
        let name = words.next().unwrap();
        let args: Vec<f64> = words.map(parse).collect();
        let expected = parse(expected);
        let wide: Vec<Value> = args.iter().map(|&x| Value::F64(x)).collect();
        let got = call(name, &wide);
        if !got.same(Value::F64(expected)) {
            wrong.push(format!("{case}, not {got}"));
        }
        let exact = args.iter().all(|&x| f64::from(x as f32).to_bits() == x.to_bits() || x.is_nan());
        if exact && name != "nextafter" {
            let narrow: Vec<Value> = args.iter().map(|&x| Value::F32(x as f32)).collect();
            let got = call(name, &narrow);
            let expected = if got.ty() == Type::F64 { Value::F64(expected) } else { Value::F32(expected as f32) };
            narrow_cases += 1;
            if !got.same(expected) {
                wrong.push(format!("f32 {case}, not {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(narrow_cases > 200, "only {narrow_cases} at f32");
}

/// `function arguments = result` of ints; a result that a type cannot hold is given as `i64 / i32`.
const INTS: &str = "
    abs -5 = 5; sign -5 = -1; sign 0 = 0; sign 9 = 1; floor -7 = -7; ceil 7 = 7; round 7 = 7; trunc -7 = -7; rint 7 = 7
    frac 7 = 0; min 3 -4 5 = -4; max 3 -4 = 3; fmin 3 4 = 3; fmax 3 4 = 4; clamp 5 0 3 = 3; clamp 5 3 0 = 0
    div -7 2 = -3; rem -7 2 = -1; mod -7 2 = 1; div 7 0 = 0; rem 7 0 = 0; mod 7 0 = 0; pow 2 10 = 1024; pow 2 -1 = 0
    pow -1 -3 = -1; xor 12 10 = 6; shl 1 4 = 16; shl 1 33 = 8589934592 / 2; shr -1 60 = 15 / 15; popcount 255 = 8
    popcount -1 = 64 / 32; shr -2147483648 31 = 8589934591 / 1
    gcd 12 18 = 6; gcd -12 18 = 6; gcd 0 0 = 0; gcd 0 -7 = 7; gcd 17 5 = 1; lcm 4 6 = 12; lcm -4 6 = 12; lcm 0 5 = 0
    lcm 0 0 = 0; gcd -2147483648 -2147483648 = 2147483648 / -2147483648; lcm 65536 65537 = 4295032832 / 65536
    round 1234 -2 = 1200; round 1250 -2 = 1300; round -1250 -2 = -1300; round 49 -2 = 0; round 7 3 = 7; round 7 -40 = 0
    step 3 2 = 0; step 3 3 = 1; if 1 2 3 = 2
";

#[test]
fn ints() {
    for case in INTS.split([';', '\n']).map(str::trim).filter(|case| !case.is_empty()) {
        let (left, expected) = case.split_once(" = ").unwrap();
        let mut words = left.split_whitespace();
        let name = words.next().unwrap();
        let args: Vec<i64> = words.map(|w| w.parse().unwrap()).collect();
        let mut expected = expected.split(" / ").map(|w| w.parse::<i64>().unwrap());
        let wide = expected.next().unwrap();
        let narrow = expected.next().unwrap_or(wide);
        // The value of `shr` shows the width.
        let values = |f: fn(i64) -> Value| -> Vec<Value> {
            let first_mixes = lookup(name).unwrap().rule.mixes(0);
            args.iter()
                .enumerate()
                .map(|(i, &v)| if i == 0 && !first_mixes { Value::Bool(v != 0) } else { f(v) })
                .collect()
        };
        assert!(call(name, &values(Value::I64)).same(Value::I64(wide)), "i64 {case}");
        if case.starts_with("shr -1") {
            continue;
        }
        assert!(call(name, &values(|v| Value::I32(v as i32))).same(Value::I32(narrow as i32)), "i32 {case}");
    }
}

#[test]
fn tests_of_values() {
    let cases: &[(&str, &[f64], bool)] = &[
        ("isnan", &[f64::NAN], true),
        ("isnan", &[f64::INFINITY], false),
        ("isinf", &[f64::NEG_INFINITY], true),
        ("isinf", &[f64::NAN], false),
        ("isinf", &[1.0], false),
        ("isfinite", &[-1.0], true),
        ("isfinite", &[f64::NAN], false),
        ("isfinite", &[f64::INFINITY], false),
        ("signbit", &[-0.0], true),
        ("signbit", &[0.0], false),
        ("signbit", &[-f64::NAN], false),
        ("signbit", &[f64::NAN], false),
        ("signbit", &[f64::NEG_INFINITY], true),
        ("isclose", &[1.0, 1.0], true),
        ("isclose", &[1.0, 1.1], false),
        ("isclose", &[0.0, -0.0], true),
        ("isclose", &[f64::INFINITY, f64::INFINITY], true),
        ("isclose", &[f64::INFINITY, f64::NEG_INFINITY], false),
        ("isclose", &[1.0, f64::INFINITY], false),
        ("isclose", &[f64::NAN, f64::NAN], false),
    ];
    for &(name, args, expected) in cases {
        let wide: Vec<Value> = args.iter().map(|&x| Value::F64(x)).collect();
        let narrow: Vec<Value> = args.iter().map(|&x| Value::F32(x as f32)).collect();
        assert!(call(name, &wide).same(Value::Bool(expected)), "{name} {args:?}");
        assert!(call(name, &narrow).same(Value::Bool(expected)), "f32 {name} {args:?}");
    }
    assert!(call("isclose", &[Value::F64(1.0), Value::F64(1.0 + 1e-10)]).same(Value::Bool(true)));
    for (name, expected) in [("isnan", false), ("isinf", false), ("isfinite", true), ("signbit", true)] {
        assert!(call(name, &[Value::I64(-3)]).same(Value::Bool(expected)), "{name}");
    }
    assert!(call("fact", &[Value::I32(5)]).same(Value::F64(120.0)));
    assert!(call("sqrt", &[Value::I32(9)]).same(Value::F64(3.0)));
    assert!(call("xor", &[Value::Bool(true), Value::Bool(true)]).same(Value::Bool(false)));
    assert!(call("i64", &[Value::Bool(true)]).same(Value::I64(1)));
    assert!(call("i32", &[Value::F64(-1e10)]).same(Value::I32(i32::MIN)));
    assert!(call("bool", &[Value::F64(0.5)]).same(Value::Bool(true)));
    assert!(call("round", &[Value::F32(0.15), Value::I64(1)]).same(Value::F32(0.2)));
    assert!(call("nextafter", &[Value::F32(1.0), Value::F32(2.0)]).same(Value::F32(1.0 + f32::EPSILON)));
}

/// Checked ints: what wraps, stops.
#[test]
fn checked_ints_stop() {
    let stops = |name: &str, args: &[Value]| {
        let mut b = Builder::default();
        let types: Vec<Type> = args.iter().map(|v| v.ty()).collect();
        build_call(&mut b, name, &types, BuildOptions { checked: true, ..BuildOptions::default() });
        let bits: Vec<u64> = args.iter().map(|v| v.to_bits()).collect();
        evaluate(&b.func, &bits, &mut Scratch::default()).is_err()
    };
    let (i, l) = (|v| Value::I32(v), |v| Value::I64(v));
    for (name, stopping, passing) in [
        ("gcd", [i(i32::MIN), i(0)], [i(i32::MIN), i(2)]),
        ("lcm", [l(1 << 62), l(3)], [l(1 << 61), l(3)]),
        ("lcm", [i(65536), i(65537)], [i(65536), i(3)]),
        ("div", [i(1), i(0)], [i(1), i(1)]),
        ("rem", [l(1), l(0)], [l(1), l(1)]),
        ("pow", [l(3), l(40)], [l(3), l(39)]),
        ("round", [i(i32::MAX), l(-1)], [i(i32::MAX), l(0)]),
        ("round", [l(i64::MAX), l(-19)], [l(i64::MAX), l(-20)]),
    ] {
        assert!(stops(name, &stopping), "{name} {stopping:?} must stop");
        assert!(!stops(name, &passing), "{name} {passing:?} must not stop");
    }
    assert!(stops("abs", &[i(i32::MIN)]));
}

/// Sure results: the whole cases that people compare with `==`.
#[test]
fn exact_cases() {
    let one = |name: &str, x: f64| match call(name, &[Value::F64(x)]) {
        Value::F64(v) => v,
        other => panic!("{other:?}"),
    };
    let two = |name: &str, x: f64, y: f64| match call(name, &[Value::F64(x), Value::F64(y)]) {
        Value::F64(v) => v,
        other => panic!("{other:?}"),
    };
    for n in -1074..1024 {
        let power = call("ldexp", &[Value::F64(1.0), Value::I64(n)]);
        assert!(call("exp2", &[Value::F64(n as f64)]).same(power), "exp2({n})");
        assert!(call("log2", &[power]).same(Value::F64(n as f64)), "log2(2^{n})");
    }
    for n in -323..=308 {
        let power: f64 = format!("1e{n}").parse().unwrap();
        assert_eq!(one("exp10", f64::from(n)), power, "exp10({n})");
        // Below 1e-307 a power of ten has few digits, and its logarithm is not whole.
        if n > -307 {
            assert_eq!(one("log10", power), f64::from(n), "log10(1e{n})");
        }
    }
    for base in 2..=40u64 {
        let mut power = base as f64;
        for n in 1.. {
            assert_eq!(two("log", power, base as f64), f64::from(n), "log({power}, {base})");
            assert_eq!(two("log", base as f64, power), 1.0 / f64::from(n), "log({base}, {power})");
            assert_eq!(two("pow", base as f64, f64::from(n)), power, "{base}^{n}");
            if power * base as f64 > 2f64.powi(53) {
                break;
            }
            power *= base as f64;
        }
        assert_eq!(one("cbrt", (base * base * base) as f64), base as f64);
    }
    // Factorials against whole arithmetic, the digits in base 2^32.
    let mut digits = vec![1u32];
    for n in 0..=170u64 {
        let mut carry = 0;
        for digit in &mut digits {
            carry += u64::from(*digit) * n.max(1);
            *digit = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            digits.push(carry as u32);
        }
        let top = digits.iter().rev().take(4).fold(0u128, |top, &d| top << 32 | u128::from(d));
        // Three whole digits and a sticky bit for what lies below them are enough to round once.
        let below = digits.iter().rev().skip(4).any(|&d| d != 0);
        let nearest = (top | u128::from(below)) as f64 * 2f64.powi(32 * (digits.len() as i32 - 4).max(0));
        assert_eq!(one("fact", n as f64), nearest, "fact({n})");
        assert_eq!(one("gamma", n as f64 + 1.0), nearest, "gamma({n} + 1)");
    }
    for (x, y) in [(0.1, 0.3), (1.0, 3.0), (-7.3, 2.2), (1e300, 7.0)] {
        assert_eq!(two("div", x, y), ((x - x % y) / y).round(), "div({x}, {y})");
    }
}
