//! Tests of the canonical form: texts, and that reading them again gives the same tree.

use crate::text::ast::{Ast, Kind, PARENTHESISED};
use crate::text::lex::INTEGER;
use crate::text::tests::programs::Programs;
use crate::text::{FrontEnd, Limits};
use proptest::prelude::*;

fn front() -> FrontEnd {
    FrontEnd::new(std::iter::empty())
}

/// Everything of a tree but its places: nodes, names, literals as written, signature.
fn shape(front: &mut FrontEnd, source: &str) -> Option<(Vec<String>, String)> {
    front.parse(source, Limits::default());
    let fine = front.sink.take().iter().all(|d| !d.is_error());
    let Ast { nodes, literals, params, has_signature, functions, .. } = &front.ast;
    let mut all: Vec<String> = vec![front.ast.dump(&front.symbols)];
    let named = |symbol| front.symbols.name(symbol).to_owned();
    for node in nodes {
        let what = match node.kind {
            Kind::Number => {
                let l = literals[node.data as usize];
                let int = if l.flags & INTEGER != 0 { l.int } else { 0 };
                format!("{:?} {int} {} {:?}", l.value, l.flags, l.suffix)
            }
            Kind::Name | Kind::Call | Kind::Let | Kind::Var | Kind::Assign => named(node.symbol()),
            Kind::ForBegin | Kind::AggregateBegin | Kind::Aggregate | Kind::Result => named(node.symbol()),
            Kind::FnBegin | Kind::Fn => named(functions[node.data as usize].symbol),
            _ => String::new(),
        };
        all.push(format!("{:?} {} {} {} {what}", node.kind, node.count, node.first, node.flags & !PARENTHESISED));
    }
    let params: Vec<String> = params.iter().map(|p| format!("{} {:?}", front.symbols.name(p.symbol), p.ty)).collect();
    let counts: Vec<_> = functions.iter().map(|f| (f.params, f.begin, f.end)).collect();
    all.push(format!("{has_signature} {} {params:?} {counts:?}", front.ast.signature));
    fine.then(|| (all, front.print(source)))
}

#[test]
fn canonical_texts() {
    #[rustfmt::skip]
    let table = [
        ("1+2 * 3", "1 + 2 * 3"), ("(1+2)*(3)", "(1 + 2) * 3"), ("((a-(b-c)))", "a - (b - c)"), ("(a-b)-c", "a - b - c"),
        ("(-2)**2", "(-2)^2"), ("-(2^2)", "-2^2"), ("2^(-1)", "2^-1"), ("(2^3)^2", "(2^3)^2"), ("2^(3^2)", "2^3^2"), ("-(-x)", "--x"),
        ("a&&b || !c", "a and b or not c"), ("a and (b or c)", "a and (b or c)"), ("not (a == b)", "not a == b"), ("!a == b", "(not a) == b"),
        ("0 <x≤1", "0 < x <= 1"), ("(a<b)<c", "(a < b) < c"), ("a < (b&c) < d", "a < (b & c) < d"), ("(a&b) < c", "a & b < c"),
        ("c ? a : b ? d : e", "if(c, a, if(b, d, e))"), ("where(c,a,b)", "if(c, a, b)"), ("if c {a} else {b}", "if(c, a, b)"),
        ("if c { let t=a\n t } else if d {b} else {e}", "if c {\n    let t = a\n    t\n} else {\n    if(d, b, e)\n}"),
        ("let a=1;let b=2\n\n a*b # product", "let a = 1\nlet b = 2\na * b"), ("|x:f64,n| x*n", "|x: f64, n| x * n"), ("||1", "|| 1"),
        ("`any column`*`e`+`for`+`а`", "`any column` * e + `for` + `а`"), ("π+∞", "π + ∞"), ("( # (\n 5. ) + .5 + 1_000.5E+3F", ""),
        ("( # (\n 5. ) + .5 + 1_000.5E+3", "5.0 + 0.5 + 1000.5e+3"), ("0XFFi64 + 0b1_0", "0xffi64 + 0b10"), ("2.f32", "2.0f32"), ("var(x) + f()", "var(x) + f()"),
    ];
    let mut front = front();
    for (source, expected) in table {
        if !expected.is_empty() {
            assert_eq!(shape(&mut front, source).expect(source).1, expected, "{source}");
        }
    }
}

#[test]
fn canonical_programs() {
    #[rustfmt::skip]
    let table = [
        ("fn f(x,n:i32)=x*n;f(1,2)", "fn f(x, n: i32) = x * n\nf(1, 2)"), ("fn f(){1};f()", "fn f() = 1\nf()"), ("|x|fn `if`(y) = y;x", "|x|\nfn `if`(y) = y\nx"),
        ("fn f(x){let y=(x);y*y};f(1)", "fn f(x) {\n    let y = x\n    y * y\n}\nf(1)"), ("var s=0;s=(s+1);(s)", "var s = 0\ns = s + 1\ns"),
        ("for `in` in(a+1)..=(n) { }\nx", "for `in` in a + 1..=n {}\nx"), ("for k in (a<b)..(c?1:2) {break}\nx", "for k in (a < b)..if(c, 1, 2) {\n    break\n}\nx"),
        ("while (a) { if b {continue} }\nx", "while a {\n    if b {\n        continue\n    }\n}\nx"),
        ("if a {x=1}else{if b {x=2}}\nx", "if a {\n    x = 1\n} else {\n    if b {\n        x = 2\n    }\n}\nx"),
        ("if a {x=1}else if b {x=2}else{}\nx", "if a {\n    x = 1\n} else if b {\n    x = 2\n} else {}\nx"),
        ("if a {1} else if b {2} else if c {var t=1;t} else {4}", "if a {\n    1\n} else if b {\n    2\n} else if c {\n    var t = 1\n    t\n} else {\n    4\n}"),
        ("if a {if b {let t=1;t} else {2}} else {3}", "if a {\n    if b {\n        let t = 1\n        t\n    } else {\n        2\n    }\n} else {\n    3\n}"),
        ("1+if a {let t=1;t} else {2}*3", "1 + if a {\n    let t = 1\n    t\n} else {\n    2\n} * 3"), ("sum((k^2)for k in 1..=(n))*2", "sum(k^2 for k in 1..=n) * 2"),
        ("any(x<k for k in(a|b)..n//2)", "any(x < k for k in a | b..n // 2)"), ("{a:(x),`for`:c?1:2,}", "{ a: x, `for`: if(c, 1, 2) }"), ("`var`+var(`var`)", "`var` + var(`var`)"),
    ];
    let mut front = front();
    for (source, expected) in table {
        assert_eq!(shape(&mut front, source).expect(source).1, expected, "{source}");
    }
}

#[test]
fn printing_keeps_random_programs() {
    let mut front = front();
    for seed in 0..3000 {
        let source = Programs::new(seed + 10_000).next(1 + seed as usize % 6);
        let (tree, printed) = shape(&mut front, &source).expect(&source);
        let again = shape(&mut front, &printed);
        assert!(again.is_some(), "{source}\n{printed}");
        let (tree_again, printed_again) = again.unwrap();
        assert_eq!(tree, tree_again, "{source}\n{printed}");
        assert_eq!(printed, printed_again);
        assert!(printed.lines().all(|line| line.trim_end() == line), "{printed}");
        if printed.len() < 400 {
            needs_its_parentheses(&mut front, &tree, &printed);
        }
    }
}

#[test]
fn comments_and_empty_lines_stay() {
    #[rustfmt::skip]
    let table = [
        ("", ""), ("# a", "# a"), ("\n\n # a \n\n\n\n# b\n# c\n", "# a\n\n# b\n# c"), ("x# a", "x # a"), ("\n\nx\n\n", "x"),
        ("# a\nlet t=1;;# b\n\n\n# c\nt", "# a\nlet t = 1 # b\n\n# c\nt"), ("let a=1\n\n\nlet b=2\na", "let a = 1\n\nlet b = 2\na"),
        ("let a=1;let b=2 # b\na", "let a = 1\nlet b = 2 # b\na"),
        // In the middle of a statement.
        ("let t=(1 + # a\n 2 # b\n)\nt", "# a\n# b\nlet t = 1 + 2\nt"), ("let a = 1\n\nf(# b\n 2,\n\n# c\n3)", "let a = 1\n\n# b\n# c\nf(2, 3)"),
        ("{ a: 1, # a\n  b: 2, # b\n}", "# a\n# b\n{ a: 1, b: 2 }"),
        // Signatures.
        ("# a\n\n|x| # b\n# c\n\nx", "# a\n\n|x| # b\n# c\n\nx"), ("|x|\n\nx # b", "|x| x # b"), ("|x|x\n# b", "|x| x\n# b"), ("|| # b\n1", "|| # b\n1"),
        ("|x, # |\n`|`|\nlet t=1\nt", "|x, `|`|\n# |\nlet t = 1\nt"), ("|x|\n\nlet t=1\nt", "|x|\n\nlet t = 1\nt"),
        // Blocks.
        ("while a { # b\n\n# c\n\nx=1# d\n\n# e\n\n} # f\nx", "while a { # b\n    # c\n\n    x = 1 # d\n\n    # e\n} # f\nx"),
        ("for k in 0..1 {\n# a\n}\nx", "for k in 0..1 {\n    # a\n}\nx"), ("while a {} # b\nx", "while a {} # b\nx"),
        ("if a { # b\nx=1 # c\n} else { # d\nx=2 # e\n} # f\nx", "if a { # b\n    x = 1 # c\n} else { # d\n    x = 2 # e\n} # f\nx"),
        ("fn f(x) { # a\nlet t=x # b\n\nt # c\n} # d\nf(1)", "fn f(x) { # a\n    let t = x # b\n\n    t # c\n} # d\nf(1)"),
        ("if a { # b\nlet t=1 # c\nt # d\n} else { # e\n2 # f\n} # g", "if a { # b\n    let t = 1 # c\n    t # d\n} else {\n    # e\n    2 # f\n} # g"),
        ("1+if a {let t=1;t} else {2}*(# a\n3)", "1 + if a {\n    let t = 1\n    t\n} else {\n    2\n} * 3\n# a"),
        ("`a # b` # c\r\n", "`a # b` # c"),
    ];
    for (source, expected) in table {
        assert_eq!(crate::format::format(source).map_err(|e| e.to_string()).as_deref(), Ok(expected), "{source}");
        assert_eq!(crate::format::format(expected).map_err(|e| e.to_string()).as_deref(), Ok(expected), "{source}");
    }
}

/// The comments of a text.
fn comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.find("# c").map(|at| &line[at..])).collect()
}

#[test]
fn comments_in_random_programs_stay() {
    let mut front = front();
    let mut number = 0;
    for seed in 0..1000 {
        let program = Programs::new(seed + 20_000).next(1 + seed as usize % 6);
        let (tree, printed) = shape(&mut front, &program).expect(&program);
        // Comments beside lines, on lines of their own and after empty ones.
        let mut source = String::new();
        for (n, line) in printed.lines().enumerate() {
            let choice = (seed as usize * 7 + n * 3) % 8;
            number += 1;
            source += &match choice {
                0 => format!("{line} # c{number}\n"),
                1 => format!("# c{number}\n{line}\n"),
                2 => format!("\n   # c{number}\n\n{line}\n\n"),
                _ => format!("{line}\n"),
            };
        }
        front.parse(&source, Limits::default());
        assert!(!front.sink.has_errors(), "{source}");
        let formatted = front.format(&source);
        assert_eq!(comments(&formatted), comments(&source), "{source}\n{formatted}");
        assert_eq!(shape(&mut front, &formatted).expect(&formatted), (tree, printed), "{source}\n{formatted}");
        front.parse(&formatted, Limits::default());
        assert_eq!(front.format(&formatted), formatted, "{source}");
        assert!(formatted.lines().all(|line| line.trim_end() == line) && !formatted.contains("\n\n\n"), "{formatted}");
    }
    assert!(number > 5_000, "{number}");
}

/// Without any one pair of its parentheses it is another formula.
fn needs_its_parentheses(front: &mut FrontEnd, tree: &[String], printed: &str) {
    for (open, close) in pairs(printed) {
        let mut less = printed.to_owned().into_bytes();
        (less[open], less[close]) = (b' ', b' ');
        let less = String::from_utf8(less).unwrap();
        let other = shape(front, &less);
        assert!(other.is_none_or(|(other, _)| other != tree), "{printed}\n{less}");
    }
}

/// A formula with every operand in parentheses, or not.
fn formula() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "x", "y", "1", "2.5", "pi", "0xff", "3i32", "true", "`a b`", "1e-3", ".5", "7.", "1_000", "größe", "f()",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(6, 60, 4, |inner| {
        #[rustfmt::skip]
        let operators = prop::sample::select(vec!["+", "-", "*", "/", "//", "%", "^", "**", "<<", ">>", "&", "|", "==", "!=", "<", "<=",
            ">", ">=", " and ", " or ", "&&", "||", "≤"]);
        let prefix = prop::sample::select(vec!["-", "+", "~", "!", "not "]);
        prop_oneof![
            (inner.clone(), operators.clone(), inner.clone()).prop_map(|(a, op, b)| format!("({a}){op}({b})")),
            (inner.clone(), operators, inner.clone()).prop_map(|(a, op, b)| format!("{a}{op}{b}")),
            (prefix, inner.clone()).prop_map(|(op, a)| format!("{op}({a})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a}) < ({b}) >= ({c})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("if {a} {{ let t = {b}; t }} else {{ {c} }}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("max({a}, {b})")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]
    #[test]
    fn printing_keeps_the_tree(lets in prop::collection::vec(formula(), 0..3), result in formula(), signature in prop::bool::ANY) {
        let mut front = front();
        let head = if signature { "|x, y: i32| " } else { "" };
        let lets: String = lets.iter().enumerate().map(|(i, value)| format!("let k{i} = {value};")).collect();
        let source = format!("{head}{lets}{result}");
        // What cannot be read (`a < b & c < d`) cannot be printed either.
        if let Some((tree, printed)) = shape(&mut front, &source) {
            let again = shape(&mut front, &printed);
            prop_assert!(again.is_some(), "{source}\n{printed}");
            let (tree_again, printed_again) = again.unwrap();
            prop_assert_eq!(&tree, &tree_again, "{}\n{}", source, printed);
            prop_assert_eq!(&printed, &printed_again);
            needs_its_parentheses(&mut front, &tree, &printed);
        }
    }
}

/// The pairs of parentheses that do not follow a name. Those around `not` stay, for the reader's sake: the grammar
/// takes a prefix operator after any other.
fn pairs(text: &str) -> Vec<(usize, usize)> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'(' => open
                .push((i, (i > 0 && text.as_bytes()[i - 1].is_ascii_alphanumeric()) || text[i..].starts_with("(not "))),
            b')' => {
                if let Some((start, false)) = open.pop() {
                    all.push((start, i));
                }
            }
            _ => {}
        }
    }
    all
}

#[test]
fn deep_trees_are_printed_without_a_stack() {
    let run = || {
        let mut front = front();
        let n = 100_000;
        for source in [
            "(".repeat(n) + "x" + &")".repeat(n),
            "-(".repeat(n) + "x" + &")".repeat(n),
            "x*(y+".repeat(n) + "x" + &")".repeat(n),
            vec!["x"; n].join("<"),
            "if x { ".repeat(n) + "y = 1" + &" }".repeat(n) + "\nx",
            "if x { let t = 1; ".repeat(n) + "t" + &" } else { 2 }".repeat(n),
            "if c { x = 1 } else ".repeat(n) + "if c { x = 2 }\nx",
            "if c { let t = 1; t } else ".repeat(n) + "if c { 1 } else { 2 }",
            "sum(k for k in 0..".repeat(n) + "2" + &")".repeat(n),
        ] {
            let (tree, printed) = shape(&mut front, &source).unwrap();
            assert_eq!(shape(&mut front, &printed).unwrap().0, tree);
            assert!(printed.len() < 40 * source.len(), "indentation is bounded");
        }
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(run).unwrap().join().unwrap();
}
