//! Tests of the reader: shapes of trees, repairs, hostile input, linear time, no stack.

pub(super) mod programs;

use super::*;
use crate::pipeline::Request;
use ast::Kind;
use programs::Programs;
use std::time::Duration;

fn front() -> FrontEnd {
    FrontEnd::new(["sin", "log", "max", "fact"].into_iter())
}

fn tree(source: &str) -> String {
    let mut front = front();
    front.parse(source, Limits::default());
    let all = front.sink.take();
    assert!(all.is_empty(), "{source}: {all:?}");
    front.ast.dump(&front.symbols)
}

fn problems(source: &str) -> Vec<Diagnostic> {
    let mut front = front();
    front.parse(source, Limits::default());
    front.sink.take()
}

#[test]
fn trees() {
    #[rustfmt::skip]
    let table = [
        ("1+2*3", "(+ 1 (* 2 3))"), ("(1+2)*3", "(* (+ 1 2) 3)"), ("a-b-c", "(- (- a b) c)"),
        ("-x^2", "(- (^ x 2))"), ("2^-1", "(^ 2 (- 1))"), ("2^3^2", "(^ 2 (^ 3 2))"), ("2**3", "(^ 2 3)"),
        ("2^-x^2", "(^ 2 (- (^ x 2)))"), ("2^-x*y", "(* (^ 2 (- x)) y)"), ("-a*b", "(* (- a) b)"),
        ("a/b//c%d", "(% (// (/ a b) c) d)"), ("~a<<b+c", "(<< (~ a) (+ b c))"), ("a|b&c", "(| a (& b c))"),
        ("a&b == c|d", "(== (& a b) (| c d))"), ("not a == b", "(not (== a b))"), ("!a == b", "(== (not a) b)"),
        ("a or b and not c", "(or a (and b (not c)))"), ("a||b&&c", "(or a (and b c))"),
        ("0<x<1", "(chain 0 x < 1 <)"), ("a<b<=c!=d", "(chain a b < c <= d !=)"), ("(a<b)<c", "(< (< a b) c)"),
        ("a ≤ b", "(<= a b)"), ("a<b and c<d", "(and (< a b) (< c d))"),
        ("c?a:b", "(if c a b)"), ("a?b:c?d:e", "(if a b (if c d e))"), ("a?b?c:d:e", "(if a (if b c d) e)"),
        ("x<1?a+1:b+1", "(if (< x 1) (+ a 1) (+ b 1))"), ("(a?b:c)?d:e", "(if (if a b c) d e)"),
        ("if(c,a,b)", "(if c a b)"), ("where(c,a,b)", "(if c a b)"), ("if(c,a,b)+1", "(+ (if c a b) 1)"),
        ("if c {a} else {b}", "(if c a b)"), ("if (c) {a} else {b}", "(if c a b)"), ("if (c) and d {a} else {b}", "(if (and c d) a b)"),
        ("if c {a}\nelse if d {b}\n else {e} + 1", "(+ (if c a (if d b e)) 1)"),
        ("if c {let t=a; t} else {b}", "(if c (block (let t a) t) b)"),
        ("if c {\n let t=a\n t\n} else {\n b\n}", "(if c (block (let t a) t) b)"),
        ("if c {a} else {let t=b\nt*t}", "(if c a (block (let t b) (* t t)))"),
        ("if a {b} else if c {let t=1;t} else {d}", "(if a b (if c (block (let t 1) t) d))"),
        ("if (a, b, c) + 1", "(+ (if a b c) 1)"),
        ("max(a,b+1,c)", "(max a (+ b 1) c)"), ("f()", "(f)"), ("f(g(x),y)", "(f (g x) y)"), ("var(x)", "(var x)"),
        ("let a=1; let b=a+1\na*b", "(let a 1) (let b (+ a 1)) (* a b)"),
        ("let a =\n 1 +\n 2\n\n a", "(let a (+ 1 2)) a"), ("(a\n+b)", "(+ a b)"), ("max(a\n,b)", "(max a b)"),
        ("|x: f64, n: i32| x*n", "(* x n)"), ("|| 3", "3"), ("|x|\nx", "x"), ("\u{feff}x", "x"),
        ("`any column` + 1", "(+ any column 1)"), ("π*r # area", "(* π r)"), ("x # c\n", "x"), (";;x;;", "x"),
        ("7//2 # not a comment", "(// 7 2)"), ("- -x", "(- (- x))"), ("+x", "(+ x)"), ("größe", "größe"), ("∞", "∞"),
        ("0xff + 0b101 + 0o17 + 1_000", "(+ (+ (+ 255 5) 15) 1000)"), ("1f32 + 2i64", "(+ 1f32 2i64)"),
        (".5 + 5. + 1e3 + 1E-3 + 1.5", "(+ (+ (+ (+ 0.5 5.0) 1000.0) 0.001) 1.5)"), ("2.5f32", "2.5f32"),
        ("1_0.2_5e1_0", "102500000000.0"), ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "1.8446744073709552e19"), ("0xffff_ffff", "4294967295"),
    ];
    for (source, expected) in table {
        assert_eq!(tree(source), format!("(program {expected})"), "{source}");
    }
}

#[test]
fn trees_of_statements() {
    #[rustfmt::skip]
    let table = [
        // Functions.
        ("fn f(x, n: i32) = x*n; f(1, 2)", "(fn f (x n:i32) (* x n)) (f 1 2)"), ("fn f() = 1\nf()", "(fn f () 1) (f)"),
        ("fn f(x) { x }\nf(2)", "(fn f (x) x) (f 2)"), ("fn f(x,\n y,) =\n x\n3", "(fn f (x y) x) 3"),
        ("|a| fn f(x) { let y = x; y*y }; f(a)", "(fn f (x) (block (let y x) (* y y))) (f a)"),
        ("fn f(x) = if x>0 { x } else { 0 }\nfn g(x) = f(x)\ng(1)", "(fn f (x) (if (> x 0) x 0)) (fn g (x) (f x)) (g 1)"),
        ("fn f(x) {\n if x>0 { 1 } else { 2 }\n}\nf(1)", "(fn f (x) (if (> x 0) 1 2)) (f 1)"),
        // Variables.
        ("var s = 0; s = s+1; s", "(var s 0) (= s (+ s 1)) s"), ("x =\n 1\nx", "(= x 1) x"), ("var a=var(x);a", "(var a (var x)) a"),
        ("`for` = 2; `for`", "(= for 2) for"), ("var(x) - var(y)", "(- (var x) (var y))"),
        // Loops.
        ("for k in 0..n { s = k }; s", "(for 0 n ..k (do (= s k))) s"), ("for k in a+1..=n*2|1 {}\nx", "(for (+ a 1) (| (* n 2) 1) ..=k (do)) x"),
        ("for k in (c ? 1 : 2)..f(x) { }\nx", "(for (if c 1 2) (f x) ..k (do)) x"), ("for k in if c {1} else {2}..3 {}; x", "(for (if c 1 2) 3 ..k (do)) x"),
        ("for i in 0..2 {\n for j in 0..i { s = j }\n}\ns", "(for 0 2 ..i (do (for 0 i ..j (do (= s j))))) s"),
        ("while a < b and c { a = 1; b = 2 }\na", "(while (and (< a b) c) (do (= a 1) (= b 2))) a"), ("while (c) {}\nx", "(while c (do)) x"),
        ("while (a) + b > 0 { break }\nx", "(while (> (+ a b) 0) (do break)) x"), ("while if(a, b, c) { continue; }; x", "(while (if a b c) (do continue)) x"),
        ("while c { if d { break }; x = 1\ncontinue }\nx", "(while c (do (if-do d (do break)) (= x 1) continue)) x"),
        // Statements `if`.
        ("if c { x = 1 }\nx", "(if-do c (do (= x 1))) x"), ("if c {} else {}\nx", "(if-do c (do) (do)) x"), ("if (c) { x = 1 }; x", "(if-do c (do (= x 1))) x"),
        ("if c { x = 1 }\nelse if d { let q = 2 }\n else { x = 3 }\nx", "(if-do c (do (= x 1)) (if-do d (do (let q 2)) (do (= x 3)))) x"),
        ("if a { if b { x = 1 } }\nx", "(if-do a (do (if-do b (do (= x 1))))) x"), ("if a { if b { 1 } else { 2 } } else { 3 }", "(if a (if b 1 2) 3)"),
        ("if a { if b {x=1}\n 2 } else { 3 }", "(if a (block (if-do b (do (= x 1))) 2) 3)"), ("if a { 1 } else { if b { x = 1 }; 3 }", "(if a 1 (block (if-do b (do (= x 1))) 3))"),
        ("if a { if b { if c {1} else {2} } else {3} } else {4} + 1", "(+ (if a (if b (if c 1 2) 3) 4) 1)"), ("if a { if(b, 1, 2) + 1 } else { 3 }", "(if a (+ (if b 1 2) 1) 3)"),
        ("fn f(x) { if x { if x {1} else {2} } else {3} }\nfn g() = 1\ng()", "(fn f (x) (if x (if x 1 2) 3)) (fn g () 1) (g)"),
        // Blocks in expressions.
        ("if c { var t=1; t=t+1; t } else {b}", "(if c (block (var t 1) (= t (+ t 1)) t) b)"), ("1 + if c {a} else {for k in 0..2 {}\nb}", "(+ 1 (if c a (block (for 0 2 ..k (do)) b)))"),
        ("let y = if c { while d { x = 1 }\n x } else { 0 }\ny", "(let y (if c (block (while d (do (= x 1))) x) 0)) y"),
        // Aggregates.
        ("sum(k^2 for k in 1..=n) + 1", "(+ (sum 1 n ..=k (^ k 2)) 1)"), ("max(a, sum(k for k in 0..2))", "(max a (sum 0 2 ..k k))"),
        ("sum(sum(i*j for j in 0..i) for i in sum(k for k in 0..3)..n)", "(sum (sum 0 3 ..k k) n ..i (sum 0 i ..j (* i j)))"),
        ("any(x > k for k in 0..n) and all(b for k in 0..1)", "(and (any 0 n ..k (> x k)) (all 0 1 ..k b))"), ("count((k<2)\n for k in 0..3)", "(count 0 3 ..k (< k 2))"),
        ("min(c ? k : 1 for k in 0..3) - prod(max(k, 1) for k in 1..3)", "(- (min 0 3 ..k (if c k 1)) (prod 1 3 ..k (max k 1)))"),
        ("sum(if c {let t=k; t} else {sum(1 for j in 0..k)} for k in 0..3)", "(sum 0 3 ..k (if c (block (let t k) t) (sum 0 k ..j 1)))"), ("sum(x)", "(sum x)"),
        // Several results.
        ("{ a: x, b: y+1 }", "(results x :a (+ y 1) :b)"), ("{\n a: c ? 1 : 2,\n `b c`: x\n , d: max(1,\n 2),\n}\n", "(results (if c 1 2) :a x :b c (max 1 2) :d)"),
        ("let t = 1; { a: t }", "(let t 1) (results t :a)"), ("|x| fn f(y) = y\n{ r: if x {1} else {2}, q: f(x) };", "(fn f (y) y) (results (if x 1 2) :r (f x) :q)"),
        // Names, not words of other languages.
        ("return", "return"), ("return - 1", "(- return 1)"), ("return(x)", "(return x)"), ("if c {x=1}\nelif + 1", "(if-do c (do (= x 1))) (+ elif 1)"),
        ("if c {x=1}\nelif(y)", "(if-do c (do (= x 1))) (elif y)"), ("range(1)", "(range 1)"), ("let mut = 1; mut", "(let mut 1) mut"), ("def + then", "(+ def then)"),
    ];
    for (source, expected) in table {
        assert_eq!(tree(source), format!("(program {expected})"), "{source}");
    }
}

#[test]
fn reserved_words_in_back_ticks_are_called_as_names() {
    assert_eq!(tree("`if`(a, b, c) + `if`(d)"), "(program (+ (if a b c) (if d)))");
    let mut front = front();
    front.parse("`if`(a, b, c)", Limits::default());
    assert_eq!(front.ast.nodes[3].kind, Kind::Call);
}

#[test]
fn numbers_are_correctly_rounded() {
    let mut front = front();
    #[rustfmt::skip]
    let table = ["0.1", "0.3", "0.7", "1.7", "2.3", "9.9", "0.319381530", "123456789012345678", "9007199254740993", "9007199254740992.5", "1e22", "1e23", "1.7976931348623157e308",
        "2.2250738585072011e-308", "5e-324", "0.30000000000000004", "3.14159265358979323846264338327950288", "8.5e-22",
        "0.000000000000000000000000000000123", "100000000000000000000000", "1e-5", "179769313486231580793e288", "0e999", "1.e5", ".5e1"];
    for text in table {
        front.parse(text, Limits::default());
        assert!(front.sink.take().is_empty(), "{text}");
        assert_eq!(front.ast.literals[0].value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

/// A wrong formula of `testdata/errors` and what is said about it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Problem {
    pub(super) formula: String,
    /// The default type of inputs.
    #[serde(default, rename = "type")]
    pub(super) ty: Option<String>,
    /// One of the diagnostics has this code, and of the first one that has it,
    code: String,
    /// this is the text under the span,
    at: String,
    /// and these are parts of the message and of the help,
    #[serde(default)]
    message: String,
    #[serde(default)]
    help: String,
    /// and this is the formula after its repair.
    fixed: Option<String>,
}

/// The cases of a file.
pub(super) fn cases(text: &str) -> Vec<Problem> {
    #[derive(serde::Deserialize)]
    struct File {
        cases: Vec<Problem>,
    }
    toml::from_str::<File>(text).unwrap().cases
}

/// What is wrong with what was said about a problem.
pub(super) fn mismatch(problem: &Problem, all: &[Diagnostic]) -> Option<String> {
    let Problem { formula, code, at, message, help, fixed, .. } = problem;
    well_formed(formula, all);
    let Some(d) = all.iter().find(|d| d.code == code) else {
        return Some(format!("{formula:?}: no {code}: {all:?}\n"));
    };
    let mut repaired = formula.clone();
    if let Some(fix) = &d.fix {
        repaired.replace_range(fix.span.start as usize..fix.span.end as usize, &fix.replacement);
    }
    let right = d.span.text(formula) == at
        && d.message.contains(message)
        && d.help.as_deref().unwrap_or("").contains(help)
        && fixed.as_ref().is_none_or(|fixed| *fixed == repaired);
    (!right).then(|| format!("{formula:?}: at {:?}, repaired {repaired:?}\n  {d:?}\n", d.span.text(formula)))
}

#[test]
fn every_problem_has_code_place_help_and_repair() {
    let cases = cases(include_str!("../../../../testdata/errors/syntax.toml"));
    let wrong: String = cases.iter().filter_map(|case| mismatch(case, &problems(&case.formula))).collect();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases.len() > 85);
}

#[test]
fn one_mistake_in_a_statement_gives_one_diagnostic() {
    let cases = cases(include_str!("../../../../testdata/errors/statements.toml"));
    let mut wrong = String::new();
    for case in &cases {
        let all = problems(&case.formula);
        wrong += &mismatch(case, &all).unwrap_or_default();
        if all.len() != 1 {
            wrong += &format!("{:?}: {} diagnostics: {all:?}\n", case.formula, all.len());
        }
        let left = case.fixed.as_deref().map(problems).unwrap_or_default();
        if !left.is_empty() {
            wrong += &format!("{:?}: not repaired: {left:?}\n", case.formula);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases.len() > 100);
}

/// What holds for the diagnostics of any text.
pub(super) fn well_formed(source: &str, all: &[Diagnostic]) {
    for d in all {
        let root = d.code.split('/').next().unwrap();
        assert!(crate::span::CODES.contains(&root), "{}", d.code);
        assert!(d.message.len() < 500 && !d.message.chars().any(char::is_control), "{d:?}");
        assert!(d.span.start <= d.span.end && d.span.end as usize <= source.len(), "{d:?}");
        assert!(
            source.is_char_boundary(d.span.start as usize) && source.is_char_boundary(d.span.end as usize),
            "{source:?} {d:?}"
        );
        let text = d.render_plain(source);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    }
}

/// The tree is in post-order, every subtree a contiguous range, the last node the program.
fn valid(ast: &ast::Ast) {
    let last = ast.nodes.last().expect("a program");
    assert_eq!((last.kind, last.first), (ast::Kind::Program, 0));
    let mut covered = 0usize;
    for (i, node) in ast.nodes.iter().enumerate() {
        assert!(node.first as usize <= i && node.start <= node.end, "{node:?}");
        let children = ast.children_reversed(i as u32);
        let mut expected = i as u32;
        for child in children {
            assert_eq!(child + 1, expected);
            expected = ast.nodes[child as usize].first;
            covered += 1;
        }
        assert_eq!(expected, node.first, "{i} {node:?}");
    }
    assert_eq!(covered + 1, ast.nodes.len(), "every node but the last has one parent");
    for (index, function) in ast.functions.iter().enumerate() {
        let ends = [ast.nodes[function.begin as usize], ast.nodes[function.end as usize]];
        assert_eq!(ends.map(|node| (node.kind, node.data as usize)), [(Kind::FnBegin, index), (Kind::Fn, index)]);
        assert!(ast.params_of(function).len() <= ast.params.len());
    }
}

/// A tree without errors has the ranges that `ast` promises.
pub(super) fn as_promised(ast: &ast::Ast) -> Result<(), String> {
    // `v` is a value, `s` a statement; the rest are markers and what stands in one place only.
    let letter = |index: u32| match ast.nodes[index as usize].kind {
        Kind::Let | Kind::Var | Kind::Assign | Kind::For | Kind::While | Kind::Break | Kind::Continue => 's',
        Kind::IfDo => 'i',
        Kind::Fn => 'f',
        Kind::FnBegin => 'F',
        Kind::Results => 'r',
        Kind::Result => ':',
        Kind::BlockEnd => 'b',
        Kind::BlockBegin => '{',
        Kind::Right => '|',
        Kind::Link => '<',
        Kind::IfThen => 't',
        Kind::IfElse => 'e',
        Kind::ForBegin => 'o',
        Kind::WhileBegin => 'w',
        Kind::WhileBody => 'W',
        Kind::AggregateBegin => 'a',
        Kind::Error | Kind::Program => '?',
        _ => 'v',
    };
    let statements = |text: &str| text.bytes().all(|b| matches!(b, b's' | b'i'));
    for (index, node) in ast.nodes.iter().enumerate() {
        let reversed: Vec<u32> = ast.children_reversed(index as u32).collect();
        let children: String = reversed.iter().rev().map(|&child| letter(child)).collect();
        let text = children.as_str();
        let count = usize::from(node.count);
        let fine = match node.kind {
            Kind::And | Kind::Or => text == "v|v",
            kind if kind.is_binary() => text == "vv",
            kind if kind.is_prefix() => text == "v",
            Kind::Chain => text.strip_prefix("vv<v<").is_some_and(|rest| rest.replace("v<", "").is_empty()),
            Kind::If => text == "vtvev",
            Kind::Call => text == "v".repeat(count),
            Kind::Block => {
                let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('v'));
                inner.is_some_and(|inner| !inner.is_empty() && statements(inner))
            }
            Kind::BlockEnd => text.strip_prefix('{').is_some_and(statements),
            Kind::Let | Kind::Var | Kind::Assign => text == "v",
            Kind::Fn => {
                let function = ast.functions[node.data as usize];
                text == "Fv" && (function.begin, function.end) == (node.first, index as u32)
            }
            Kind::For => text == "vvob",
            Kind::While => text == "wvWb",
            Kind::IfDo if node.flags & ast::HAS_ELSE != 0 => text == "vtbeb" || text == "vtbei",
            Kind::IfDo => text == "vtb",
            Kind::Aggregate => text == "vvav" && node.symbol().is_aggregate(),
            Kind::Results => count > 0 && text == "v:".repeat(count),
            Kind::Program => text.strip_suffix(['v', 'r']).is_some_and(|inner| statements(&inner.replace('f', ""))),
            Kind::Error => false,
            _ => text.is_empty(),
        };
        if !fine {
            return Err(format!("{:?} of {text:?}", node.kind));
        }
    }
    let fns = ast.nodes.iter().filter(|node| node.kind == Kind::Fn).count();
    if fns == ast.functions.len() { Ok(()) } else { Err(format!("{} functions", ast.functions.len())) }
}

#[test]
fn random_programs_have_the_trees_that_are_promised() {
    let mut front = front();
    let mut met = std::collections::HashSet::new();
    for seed in 0..4000 {
        let source = Programs::new(seed).next(1 + seed as usize % 6);
        front.parse(&source, Limits::default());
        let all = front.sink.take();
        assert!(all.is_empty(), "{source}\n{all:?}");
        valid(&front.ast);
        assert_eq!(as_promised(&front.ast), Ok(()), "{source}");
        met.extend(front.ast.nodes.iter().map(|node| node.kind as u8));
    }
    let statements = Kind::BlockBegin as u8..=Kind::Program as u8;
    assert!(statements.clone().all(|kind| met.contains(&kind)), "{statements:?} {met:?}");
}

#[test]
fn random_programs_become_values_that_verify() {
    let mut front = front();
    let mut builder = crate::ir::build::Builder::default();
    let mut fine = 0;
    for seed in 0..3000 {
        let source = Programs::new(seed + 20_000).next(1 + seed as usize % 6);
        check_all(&mut front, &mut builder, &source, seed % 2 == 0);
        let all = front.sink.take();
        well_formed(&source, &all);
        if !all.iter().any(Diagnostic::is_error) {
            fine += 1;
            assert_eq!(crate::ir::verify::verify(&builder.func), Ok(()), "{source}");
        }
    }
    assert!(fine > 100, "{fine}");
}

#[test]
fn programs_that_break_off() {
    let mut front = front();
    let mut builder = crate::ir::build::Builder::default();
    for seed in 0..60 {
        let source = Programs::new(seed).next(4);
        let source = &source[..source.floor_char_boundary(1500)];
        for end in (0..source.len()).filter(|&end| source.is_char_boundary(end)) {
            let text = &source[..end];
            check_all(&mut front, &mut builder, text, false);
            valid(&front.ast);
            let all = front.sink.take();
            well_formed(text, &all);
            if !all.iter().any(Diagnostic::is_error) {
                assert_eq!(as_promised(&front.ast), Ok(()), "{text}");
            }
        }
    }
}

#[test]
fn any_tokens_in_any_order() {
    // All sequences of up to 3 of these, and a great number of longer ones.
    #[rustfmt::skip]
    let words = ["a", "1", "+", "-", "not ", "^", "<", "&", "(", ")", "[", "]", "{", "}", ",", ";", "\n", "?", ":", "=", "if", "if(",
        " else ", "let ", "f(", "..", "and ", "|", "!", "for ", "fn ", "where(", "`b`", "×", "var(", "%",
        "in ", "..=", "while ", "break ", "continue ", "a = ", "var a = ", "fn f(a) ", "sum(", "for k in ", "{ a: ", "if a { ", "return ", "elif "];
    let mut front = front();
    let mut check = |source: &str| {
        front.parse(source, Limits::default());
        valid(&front.ast);
        let all = front.sink.take();
        well_formed(source, &all);
        if !all.iter().any(Diagnostic::is_error) {
            assert_eq!(as_promised(&front.ast), Ok(()), "{source}");
        }
    };
    let n = words.len();
    for i in 0..n * n * n {
        check(&[words[i % n], words[i / n % n], words[i / n / n]].join(" "));
    }
    let mut state = 1u64;
    for _ in 0..30_000 {
        let mut source = String::new();
        for _ in 0..state % 23 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            source.push_str(words[(state >> 33) as usize % n]);
        }
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407) >> 1;
        check(&source);
    }
}

type Generator = (&'static str, fn(usize) -> String);

/// Texts of about n parts, of every shape that once made somebody's parser quadratic or overflow its stack.
#[rustfmt::skip]
const GENERATORS: &[Generator] = &[
    ("flat sum", |n| vec!["x"; n].join("+")),
    ("parentheses", |n| "(".repeat(n) + "x" + &")".repeat(n)),
    ("unary chain", |n| "-".repeat(n) + "x"),
    ("not chain", |n| "not ".repeat(n) + "x"),
    ("powers", |n| vec!["x"; n].join("^")),
    ("calls", |n| "sin(".repeat(n) + "x" + &")".repeat(n)),
    ("ifs", |n| "if(c,".repeat(n) + "x" + &",1)".repeat(n)),
    ("ifs in conditions", |n| "if(".repeat(n) + "x>0" + &",1,2)>0".repeat(n)),
    ("ternaries", |n| "c?x:".repeat(n) + "x"),
    ("left ternaries", |n| "(".repeat(n) + "c" + &"?1:2)>0".repeat(n)),
    ("else if", |n| "if c {x} else ".repeat(n) + "if c {x} else {y}"),
    ("nested blocks", |n| "if c { let a = 1; ".repeat(n) + "x" + &" } else { 1 }".repeat(n)),
    ("lets", |n| (0..n).map(|i| format!("let a{} = a{} + a{0};", i + 1, i)).collect::<String>() + "a0"),
    ("untyped lets", |n| "let a0 = 1;".to_owned() + &(0..n).map(|i| format!("let a{} = a{} + a{0};", i + 1, i)).collect::<String>() + "x + a" + &n.to_string()),
    ("names", |n| (0..n).map(|i| format!("name{i}")).collect::<Vec<_>>().join("+")),
    ("unknown functions", |n| (0..n).map(|i| format!("unknown{i}(x)")).collect::<Vec<_>>().join("+")),
    ("unclosed", |n| "(".repeat(n)),
    ("unclosed calls", |n| "f(".repeat(n)),
    ("unclosed blocks", |n| "if c {".repeat(n)),
    ("unopened", |n| ")".repeat(n)),
    ("errors", |n| "a b = × ".repeat(n)),
    ("mixed brackets", |n| "([{".repeat(n) + &")]}".repeat(n)),
    ("comment", |n| "x #".to_owned() + &"y".repeat(n)),
    ("comments", |n| "# x\n".repeat(n) + "x"),
    ("lines", |n| "x\n".repeat(n)),
    ("comparisons", |n| vec!["x"; n].join("<")),
    ("arguments", |n| "max(".to_owned() + &vec!["x"; n.min(60_000)].join(",") + ")"),
    ("digits", |n| "1".repeat(n)),
    ("right-deep", |n| "x*(y+".repeat(n) + "x" + &")".repeat(n)),
    ("functions in functions", |n| "fn f(x) = {".repeat(n)),
    ("results in results", |n| "{a:".repeat(n)),
    ("functions", |n| (0..n).map(|i| format!("fn f{i}(x) = x;")).collect::<String>() + "x"),
    ("parameters", |n| "fn f(".to_owned() + &(0..n).map(|i| format!("p{i}")).collect::<Vec<_>>().join(",") + ") = x; x"),
    ("results", |n| "{".to_owned() + &(0..n.min(60_000)).map(|i| format!("r{i}: x")).collect::<Vec<_>>().join(",") + "}"),
    ("assignments", |n| "var x = 1;".to_owned() + &"x = x + 1\n".repeat(n) + "x"),
    ("statements if", |n| "var x = 1;".to_owned() + &"if c { x = 2 }\n".repeat(n) + "x"),
    ("nested statements if", |n| "if x { ".repeat(n) + "y = 1" + &" }".repeat(n) + "\nx"),
    ("nested ifs with values", |n| "if x { ".repeat(n) + "1" + &" } else { 2 }".repeat(n)),
    ("else if without values", |n| "if c { x = 1 } else ".repeat(n) + "if c { x = 2 }\nx"),
    ("elif", |n| "if c { x = 1 }".to_owned() + &" elif c { x = 2 }".repeat(n) + "\nx"),
    ("blocks of both kinds", |n| "if c { x = 1 } else { if d { 2 } else { ".repeat(n)),
    ("loops in a row", |n| "for k in 0..2 { x = k }\n".repeat(n) + "x"),
    ("loops in loops", |n| "for k in 0..2 { ".repeat(n) + &"}".repeat(n)),
    ("ifs in a loop", |n| "while c { ".to_owned() + &"if d { break } else { continue }\n".repeat(n) + "}\nx"),
    ("heads of loops", |n| "for k in ".repeat(n)),
    ("aggregates", |n| vec!["sum(k for k in 0..2)"; n].join("+")),
    ("aggregates in ranges", |n| "sum(k for k in 0..".repeat(n) + "2" + &")".repeat(n)),
    ("aggregates in terms", |n| "sum(".repeat(n) + "x" + &" for k in 0..2)".repeat(n)),
    ("aggregates broken off", |n| "sum(1 for k in 0..".repeat(n)),
    ("terms that are not closed", |n| "sum(if c { for k in 0..2)".repeat(n)),
    ("words", |n| "return x += if for while in fn".repeat(n)),
    ("forgotten braces", |n| "if c\n".repeat(n) + &"}".repeat(n)),
    ("heads with brackets", |n| "if (c { x }\n".repeat(n)),
    ("braces after brackets", |n| "(".repeat(n) + "x" + &"{}".repeat(n)),
    ("ranges", |n| "1..2".repeat(n)),
];

/// The smallest of some timings of `f`.
fn fastest(mut f: impl FnMut()) -> Duration {
    (0..2).map(|_| crate::run::clock::time(&mut f)).min().unwrap_or_default()
}

/// Lengths that are compared, and the most by which the times may differ. Linear is 16, quadratic 256; what noise and
/// caches add to 16 on a shared machine stays below. The bound is that of time(2n)/time(n) < 2.5, 2.5^4 for four doublings;
/// `examples/scaling.rs` prints the single ratio.
const SHORT: usize = 20_000;
const FACTOR: usize = 16;
const MOST: f64 = 39.0;
/// A busy machine is given so many chances, with pauses between them that double. Each length keeps its best time over
/// all of them, so a chance that one of the two was unlucky in spoils nothing; a quadratic parser fails them all.
const CHANCES: u32 = 9;
const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn time_is_linear() {
    let mut front = front();
    for (name, make) in GENERATORS {
        let mut time = |s: &str| {
            crate::run::clock::time(|| {
                front.parse(s, Limits::default());
                front.sink.take();
            })
        };
        let texts = [make(SHORT), make(FACTOR * SHORT)];
        let (mut best, mut ratio) = ([Duration::MAX; 2], f64::INFINITY);
        for chance in 0..CHANCES {
            if chance > 1 {
                std::thread::sleep(PAUSE * (1 << (chance - 2)));
            }
            for _ in 0..2 {
                for (best, text) in best.iter_mut().zip(&texts) {
                    *best = time(text).min(*best);
                }
            }
            ratio = (best[1].as_secs_f64() + 1e-4) / (best[0].as_secs_f64() + 1e-4);
            // Nobody is so unlucky.
            if !(MOST..=3.0 * MOST).contains(&ratio) {
                break;
            }
        }
        assert!(ratio < MOST, "{name}: time({FACTOR}n)/time(n) = {ratio:.1}");
    }
}

#[test]
fn a_million_deep_on_a_small_stack() {
    let run = || {
        let mut front = front();
        for (name, make) in GENERATORS {
            let source = make(1_000_000);
            front.parse(&source, Limits::default());
            let all = front.sink.take();
            well_formed(&source, &all);
            assert!(front.ast.nodes.len() <= 16_000_000, "{name}");
            let copy = front.ast.clone();
            drop(copy);
        }
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn limits_are_errors() {
    let code = |source: &str, limits: Limits| {
        let mut front = front();
        front.parse(source, limits);
        valid(&front.ast);
        front.sink.take().first().map(|d| d.code)
    };
    let limits = Limits { nesting: 10, nodes: 100, source_bytes: 1000, ..Limits::default() };
    assert_eq!(code(&("(".repeat(10) + "x" + &")".repeat(10)), limits), None);
    assert_eq!(code(&("(".repeat(11) + "x" + &")".repeat(11)), limits), Some("limit/nesting"));
    assert_eq!(code(&vec!["x"; 51].join("+"), limits), Some("limit/nodes"));
    assert_eq!(code(&" ".repeat(1001), limits), Some("limit/source"));
    assert_eq!(code(&format!("max({})", vec!["x"; 70_000].join(",")), Limits::default()), Some("limit/arguments"));
    let nested = |n: usize| "for k in 0..2 { ".repeat(n) + &"}\n".repeat(n) + "1";
    assert_eq!(
        (code(&nested(64), Limits::default()), code(&nested(65), Limits::default())),
        (None, Some("limit/loops"))
    );
    let nested = |n: usize| "while c { ".repeat(n) + &"}\n".repeat(n) + "1";
    assert_eq!(
        (code(&nested(64), Limits::default()), code(&nested(65), Limits::default())),
        (None, Some("limit/loops"))
    );
    let nested = |n: usize| "while c { while sum(1 for k in 0..2) > 1 {".repeat(n) + &"}\n}\n".repeat(n) + "1";
    assert_eq!(
        (code(&nested(31), Limits::default()), code(&nested(32), Limits::default())),
        (None, Some("limit/loops"))
    );
    let nested = |n: usize| "sum(".repeat(n) + "x" + &" for k in 0..2)".repeat(n);
    assert_eq!(
        (code(&nested(64), Limits::default()), code(&nested(65), Limits::default())),
        (None, Some("limit/loops"))
    );
    let nested = |n: usize| "sum(k for k in 0..".repeat(n) + "2" + &")".repeat(n);
    assert_eq!(code(&nested(1000), Limits::default()), None);
    let results: Vec<String> = (0..70_000).map(|i| format!("r{i}: 1")).collect();
    assert_eq!(code(&format!("{{ {} }}", results.join(", ")), Limits::default()), Some("limit/results"));
    assert_eq!(problems(&"a b ".repeat(100)).len(), DIAGNOSTICS + 1);
    let bad = utf8(b"ab\xff").unwrap_err();
    assert_eq!((bad.code, bad.span), ("utf8", Span::new(2, 3)));
}

/// Parses, checks and builds.
fn check_all(front: &mut FrontEnd, builder: &mut crate::ir::build::Builder, source: &str, checked: bool) {
    builder.reset(crate::ir::build::BuildOptions { checked, ..Default::default() });
    front.parse(source, Limits::default());
    front.check(source, &Request { checked, ..check::tests::request() }, builder);
}

#[test]
fn checking_is_linear_and_needs_no_stack() {
    let run = || {
        let mut front = front();
        let mut builder = crate::ir::build::Builder::default();
        for (name, make) in GENERATORS {
            let (short, long) = (make(SHORT), make(FACTOR * SHORT));
            let mut ratio = f64::INFINITY;
            for _ in 0..4 {
                let mut time = |s: &str| {
                    fastest(|| {
                        check_all(&mut front, &mut builder, s, false);
                        front.sink.take();
                    })
                };
                let (a, b) = (time(&short), time(&long));
                ratio = ratio.min((b.as_secs_f64() + 1e-3) / (a.as_secs_f64() + 1e-3));
                if ratio < MOST {
                    break;
                }
            }
            assert!(ratio < MOST, "{name}: time({FACTOR}n)/time(n) = {ratio:.1}");
        }
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(run).unwrap().join().unwrap();
}
