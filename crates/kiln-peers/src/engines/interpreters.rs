//! Interpreters: they only parse, and every call walks a tree or a list.

use super::{Compiled, Engine, Purpose};
use crate::column::Data;
use crate::foreign::Slots;
use crate::formula::Formula;
use crate::print::{self, EVALEXPR, EXMEX, FASTEVAL};
use evalexpr::{ContextWithMutableVariables, HashMapContext, Value};
use exmex::Express;
use fasteval::{Compiler, Evaler};

const MISSING: &str = "its language has not all of the formula";

pub(super) struct Fasteval;

impl Engine for Fasteval {
    fn name(&self) -> &'static str {
        "fasteval"
    }

    fn note(&self) -> String {
        "interpreter, with unsafe-vars; no choice, no definitions; roots and exponentials are powers".to_owned()
    }

    fn goes_row_by_row(&self) -> bool {
        true
    }

    fn compile(&mut self, formula: &Formula, _purpose: Purpose) -> Result<Box<dyn Compiled>, String> {
        let text = print::text(formula, &FASTEVAL).ok_or(MISSING)?;
        let mut slots = Slots::new(formula.inputs.iter().map(|input| input.name.as_str()));
        let parsed = fasteval::Parser::new().parse(&text, &mut slots.slab.ps).map_err(|error| error.to_string())?;
        let code = parsed.from(&slots.slab.ps).compile(&slots.slab.ps, &mut slots.slab.cs);
        Ok(Box::new(Instructions { slots, code }))
    }
}

struct Instructions {
    slots: Slots,
    code: fasteval::Instruction,
}

impl Compiled for Instructions {
    fn calls(&mut self, data: &mut Data) {
        for (row, out) in data.out.iter_mut().enumerate() {
            for (slot, column) in self.slots.inputs.iter().zip(&data.inputs) {
                slot.set(column[row]);
            }
            *out = self.code.eval(&self.slots.slab, &mut fasteval::EmptyNamespace).unwrap_or(f64::NAN);
        }
    }
}

pub(super) struct Exmex;

impl Engine for Exmex {
    fn name(&self) -> &'static str {
        "exmex"
    }

    fn note(&self) -> String {
        "interpreter; floats only: no conditions, no definitions".to_owned()
    }

    fn goes_row_by_row(&self) -> bool {
        true
    }

    fn compile(&mut self, formula: &Formula, _purpose: Purpose) -> Result<Box<dyn Compiled>, String> {
        if formula.is_condition {
            return Err("no conditions".to_owned());
        }
        let text = print::text(formula, &EXMEX).ok_or(MISSING)?;
        let code = exmex::parse::<f64>(&text).map_err(|error| error.to_string())?;
        // It sorts the inputs by name.
        let place = |name: &String| formula.inputs.iter().position(|input| input.name == *name);
        let order: Option<Vec<usize>> = code.var_names().iter().map(place).collect();
        let order = order.ok_or_else(|| "a name became an input".to_owned())?;
        Ok(Box::new(Flat { code, order }))
    }
}

struct Flat {
    code: exmex::FlatEx<f64>,
    order: Vec<usize>,
}

impl Compiled for Flat {
    fn calls(&mut self, data: &mut Data) {
        let mut point = vec![0.0; self.order.len()];
        for (row, out) in data.out.iter_mut().enumerate() {
            for (to, &at) in point.iter_mut().zip(&self.order) {
                *to = data.inputs[at][row];
            }
            *out = self.code.eval(&point).unwrap_or(f64::NAN);
        }
    }
}

pub(super) struct Evalexpr;

impl Engine for Evalexpr {
    fn name(&self) -> &'static str {
        "evalexpr"
    }

    fn note(&self) -> String {
        "interpreter; the last version under the MIT licence; inputs by name in a map".to_owned()
    }

    fn goes_row_by_row(&self) -> bool {
        true
    }

    fn compile(&mut self, formula: &Formula, _purpose: Purpose) -> Result<Box<dyn Compiled>, String> {
        let text = print::text(formula, &EVALEXPR).ok_or(MISSING)?;
        let code = evalexpr::build_operator_tree(&text).map_err(|error| error.to_string())?;
        let names = formula.inputs.iter().map(|input| input.name.clone()).collect();
        Ok(Box::new(Operators { code, names, context: HashMapContext::new() }))
    }
}

struct Operators {
    code: evalexpr::Node,
    names: Vec<String>,
    context: HashMapContext,
}

impl Compiled for Operators {
    fn calls(&mut self, data: &mut Data) {
        for (row, out) in data.out.iter_mut().enumerate() {
            for (name, column) in self.names.iter().zip(&data.inputs) {
                // It takes a name that it owns.
                let _ = self.context.set_value(name.clone(), Value::Float(column[row]));
            }
            *out = self.code.eval_float_with_context_mut(&mut self.context).unwrap_or(f64::NAN);
        }
    }
}
