//! `fidget`: a compiler for implicit surfaces, in f32.

use super::{Compiled, Engine, Precision, Purpose};
use crate::column::{Column, Data};
use crate::formula::{Binary, Formula, Node, Tree, Unary};
use crate::print::chain;
use fidget::context::{Context, Node as Handle};
use fidget::eval::{BulkEvaluator, Function, MathFunction, Tape, TracingEvaluator};
use fidget::jit::JitFunction;
use fidget::var::Var;

/// The engine, which has no state.
pub(super) struct Fidget;

impl Engine for Fidget {
    fn name(&self) -> &'static str {
        "fidget"
    }

    fn note(&self) -> String {
        "computes in f32; errors are in units of f32 for inputs rounded to f32; no power but products".to_owned()
    }

    fn precision(&self) -> Precision {
        Precision::Single
    }

    fn compile(&mut self, formula: &Formula, purpose: Purpose) -> Result<Box<dyn Compiled>, String> {
        // It has no language of its own for formulas, so their text is read by our parser.
        let formula = Formula::parse(&formula.name, &formula.text, formula.inputs.clone())?;
        let mut maker =
            Maker { context: Context::new(), vars: formula.inputs.iter().map(|_| Var::new()).collect(), lets: vec![] };
        for (_, tree) in &formula.lets {
            let handle = maker.handle(tree)?;
            maker.lets.push(handle);
        }
        let root = maker.handle(&formula.result)?;
        let function = JitFunction::new(&maker.context, &[root]).map_err(|error| error.to_string())?;
        // Where it has put the inputs.
        let order = |vars: &fidget::var::VarMap| -> Vec<usize> {
            let mut order = vec![0; vars.len()];
            for (at, var) in maker.vars.iter().enumerate() {
                if let Some(place) = vars.get(var) {
                    order[place] = at;
                }
            }
            order
        };
        Ok(match purpose {
            Purpose::Calls => {
                let tape = function.point_tape(Default::default());
                let order = order(tape.vars());
                Box::new(Points { tape, eval: JitFunction::new_point_eval(), order, inputs: vec![], out: vec![] })
            }
            Purpose::Columns => {
                let tape = function.float_slice_tape(Default::default());
                let order = order(tape.vars());
                Box::new(Slices { tape, eval: JitFunction::new_float_slice_eval(), order, inputs: vec![], out: vec![] })
            }
        })
    }
}

/// Makes its nodes.
struct Maker {
    context: Context,
    vars: Vec<Var>,
    lets: Vec<Handle>,
}

impl Maker {
    fn handle(&mut self, tree: &Tree) -> Result<Handle, String> {
        let made = match &**tree {
            Node::Number(value) => return Ok(self.context.constant(*value as f32)),
            Node::Input(at) => return Ok(self.context.var(self.vars[*at])),
            Node::Let(at) => return Ok(self.lets[*at]),
            Node::Unary(op, a) => {
                let a = self.handle(a)?;
                let context = &mut self.context;
                match op {
                    Unary::Neg => context.neg(a),
                    Unary::Abs => context.abs(a),
                    Unary::Sqrt => context.sqrt(a),
                    Unary::Exp => context.exp(a),
                    Unary::Log => context.ln(a),
                    Unary::Sin => context.sin(a),
                    Unary::Cos => context.cos(a),
                    Unary::Tan => context.tan(a),
                    Unary::Asin => context.asin(a),
                    Unary::Acos => context.acos(a),
                    Unary::Atan => context.atan(a),
                }
            }
            Node::Power(a, n) => {
                let a = self.handle(a)?;
                return self.power(a, *n).map_err(|error| error.to_string());
            }
            Node::Binary(op, a, b) => {
                let (a, b) = (self.handle(a)?, self.handle(b)?);
                let context = &mut self.context;
                match op {
                    Binary::Add => context.add(a, b),
                    Binary::Sub => context.sub(a, b),
                    Binary::Mul => context.mul(a, b),
                    Binary::Div => context.div(a, b),
                    Binary::Min => context.min(a, b),
                    Binary::Max => context.max(a, b),
                    Binary::Less => context.less_than(a, b),
                    Binary::LessEqual => context.less_than_or_equal(a, b),
                    Binary::Greater => context.less_than(b, a),
                    Binary::GreaterEqual => context.less_than_or_equal(b, a),
                    Binary::And => context.and(a, b),
                    Binary::Or => context.or(a, b),
                    Binary::Pow => return Err("no power".to_owned()),
                }
            }
            Node::If(c, a, b) => {
                let (c, a, b) = (self.handle(c)?, self.handle(a)?, self.handle(b)?);
                self.context.if_nonzero_else(c, a, b)
            }
        };
        made.map_err(|error| error.to_string())
    }

    fn power(&mut self, mut square: Handle, n: u32) -> Result<Handle, fidget::context::BadNode> {
        let mut product: Option<Handle> = None;
        let parts = chain(n);
        for bit in 0..32 - n.leading_zeros() {
            if bit > 0 {
                square = self.context.square(square)?;
            }
            if parts.contains(&(1 << bit)) {
                product = Some(match product {
                    Some(product) => self.context.mul(product, square)?,
                    None => square,
                });
            }
        }
        Ok(product.unwrap_or(square))
    }
}

/// The inputs in its order and type.
fn single(order: &[usize], inputs: &[Column]) -> Vec<Vec<f32>> {
    order.iter().map(|&at| inputs[at].iter().map(|&value| value as f32).collect()).collect()
}

fn widen(from: &[f32], out: &mut [f64]) {
    for (to, from) in out.iter_mut().zip(from) {
        *to = f64::from(*from);
    }
}

struct Points {
    tape: <<JitFunction as Function>::PointEval as TracingEvaluator>::Tape,
    eval: <JitFunction as Function>::PointEval,
    order: Vec<usize>,
    inputs: Vec<Vec<f32>>,
    out: Vec<f32>,
}

impl Compiled for Points {
    fn load(&mut self, inputs: &[Column]) {
        self.inputs = single(&self.order, inputs);
        self.out = vec![f32::NAN; inputs.first().map_or(0, |column| column.len())];
    }

    fn calls(&mut self, _data: &mut Data) {
        let mut point = vec![0.0; self.inputs.len()];
        for row in 0..self.out.len() {
            for (to, from) in point.iter_mut().zip(&self.inputs) {
                *to = from[row];
            }
            if let Ok((values, _)) = self.eval.eval(&self.tape, &point) {
                self.out[row] = values[0];
            }
        }
    }

    fn store(&self, out: &mut [f64]) {
        widen(&self.out, out);
    }
}

struct Slices {
    tape: <<JitFunction as Function>::FloatSliceEval as BulkEvaluator>::Tape,
    eval: <JitFunction as Function>::FloatSliceEval,
    order: Vec<usize>,
    inputs: Vec<Vec<f32>>,
    /// What `eval` owns, copied once for the accuracy.
    out: Vec<f32>,
}

impl Compiled for Slices {
    fn load(&mut self, inputs: &[Column]) {
        self.inputs = single(&self.order, inputs);
        if let Ok(values) = self.eval.eval(&self.tape, &self.inputs) {
            self.out = values[0].to_vec();
        }
    }

    fn calls(&mut self, _data: &mut Data) {}

    fn columns(&mut self, _data: &mut Data) {
        // It owns its output.
        std::hint::black_box(self.eval.eval(&self.tape, &self.inputs).is_ok());
    }

    fn store(&self, out: &mut [f64]) {
        widen(&self.out, out);
    }
}
