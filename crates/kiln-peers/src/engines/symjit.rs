//! `symjit`: a compiler for systems of equations.

use super::{Compiled, Engine, Purpose};
use crate::column::Data;
use crate::formula::{Binary, Formula, Node, Tree, Unary};
use std::collections::HashSet;
use symjit::{Application, CellModel, Config, Expr, FastFunc, Matrix, Program};

/// The engine, which has no state.
pub(super) struct Symjit;

impl Engine for Symjit {
    fn name(&self) -> &'static str {
        "symjit"
    }

    fn note(&self) -> String {
        "vectors of 256 bits and its fast mathematics, as it comes; kernels that read columns".to_owned()
    }

    fn compile(&mut self, formula: &Formula, purpose: Purpose) -> Result<Box<dyn Compiled>, String> {
        // Formulas are read by our parser: its own language is made by other programs for programs.
        let formula = Formula::parse(&formula.name, &formula.text, formula.inputs.clone())?;
        let mut app = application(&formula).map_err(|error| error.to_string())?;
        Ok(match purpose {
            Purpose::Calls => {
                app.fast_func().map_err(|error| error.to_string())?;
                Box::new(Calls(app))
            }
            Purpose::Columns => {
                app.prepare_simd();
                Box::new(Columns(app))
            }
        })
    }
}

/// What its `Compiler` does, with our definitions as equations besides.
fn application(formula: &Formula) -> Result<Application, Box<dyn std::error::Error>> {
    let maker = Maker(formula);
    let states: Vec<_> =
        formula.inputs.iter().map(|input| Expr::var(&input.name).to_variable()).collect::<Result<_, _>>()?;
    // Of the equations those whose names begin so are definitions, and the others results.
    let lets = formula.lets.iter().enumerate();
    let mut obs: Vec<_> =
        lets.map(|(at, (_, tree))| Expr::equation(&Expr::var(&maker.name(at)), &maker.expr(tree))).collect();
    let mut result = maker.expr(&formula.result);
    if formula.is_condition {
        result = result.ifelse(&Expr::from(1.0), &Expr::from(0.0));
    }
    obs.push(Expr::equation(&Expr::var("$0"), &result));
    let iv = Expr::var("$_").to_variable()?;
    let model = CellModel { iv, params: vec![], states, algs: vec![], odes: vec![], obs };
    let mut config = Config::default();
    // Otherwise kernels read rows, and over columns they read what is not theirs.
    config.set_symbolica(false);
    Ok(Application::new(Program::new(&model, config)?, HashSet::new())?)
}

/// Makes its expressions.
struct Maker<'a>(&'a Formula);

impl Maker<'_> {
    /// Definitions may hide others, so their number is part of their name.
    fn name(&self, at: usize) -> String {
        format!("__{}_{at}", self.0.lets[at].0)
    }

    fn expr(&self, tree: &Tree) -> Expr {
        match &**tree {
            Node::Number(value) => Expr::from(*value),
            Node::Input(at) => Expr::var(&self.0.inputs[*at].name),
            Node::Let(at) => Expr::var(&self.name(*at)),
            Node::Unary(op, a) => {
                let a = self.expr(a);
                match op {
                    Unary::Neg => a.neg(),
                    Unary::Abs => a.abs(),
                    Unary::Sqrt => a.sqrt(),
                    Unary::Exp => a.exp(),
                    Unary::Log => a.ln(),
                    Unary::Sin => a.sin(),
                    Unary::Cos => a.cos(),
                    Unary::Tan => a.tan(),
                    Unary::Asin => a.asin(),
                    Unary::Acos => a.acos(),
                    Unary::Atan => a.atan(),
                }
            }
            Node::Power(a, n) => self.expr(a).pow(&Expr::from(*n as i32)),
            Node::Binary(op, a, b) => {
                let (a, b) = (self.expr(a), self.expr(b));
                match op {
                    Binary::Add => a.add(&b),
                    Binary::Sub => a.sub(&b),
                    Binary::Mul => a.mul(&b),
                    Binary::Div => a.div(&b),
                    Binary::Pow => a.pow(&b),
                    Binary::Min => a.min(&b),
                    Binary::Max => a.max(&b),
                    Binary::Less => a.lt(&b),
                    Binary::LessEqual => a.le(&b),
                    Binary::Greater => a.gt(&b),
                    Binary::GreaterEqual => a.ge(&b),
                    Binary::And => a.bitand(&b),
                    Binary::Or => a.bitor(&b),
                }
            }
            Node::If(c, a, b) => self.expr(c).ifelse(&self.expr(a), &self.expr(b)),
        }
    }
}

struct Calls(Application);

impl Compiled for Calls {
    fn calls(&mut self, data: &mut Data) {
        let out: &mut [f64] = &mut data.out;
        let n = out.len();
        macro_rules! rows {
            ($function:ident $($name:ident)*) => {{
                let [$($name),*] = &data.inputs[..] else { return };
                $(let $name = &$name[..n];)*
                for row in 0..n {
                    out[row] = $function($($name[row]),*);
                }
            }};
        }
        let Ok(function) = self.0.fast_func() else { return };
        match function {
            FastFunc::F1(f, _) => rows!(f a),
            FastFunc::F2(f, _) => rows!(f a b),
            FastFunc::F3(f, _) => rows!(f a b c),
            FastFunc::F4(f, _) => rows!(f a b c d),
            FastFunc::F5(f, _) => rows!(f a b c d e),
            FastFunc::F6(f, _) => rows!(f a b c d e g),
            FastFunc::F7(f, _) => rows!(f a b c d e g h),
            FastFunc::F8(f, _) => rows!(f a b c d e g h i),
        }
    }
}

struct Columns(Application);

impl Compiled for Columns {
    fn calls(&mut self, _data: &mut Data) {}

    fn columns(&mut self, data: &mut Data) {
        let rows = data.out.len();
        let mut states = Matrix { p: data.inputs.iter_mut().map(|column| &mut **column).collect(), vecsize: rows };
        let mut obs = Matrix { p: vec![&mut data.out], vecsize: rows };
        self.0.exec_vectorized(&mut states, &mut obs);
    }
}
