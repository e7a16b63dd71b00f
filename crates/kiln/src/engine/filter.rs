//! Formulas with a filter: of the rows, those are kept for which a condition holds, and there are no others.
//!
//! Owns how the two formulas share their inputs, and how rows are left out. The one idea: the filter is a formula of its
//! own, which runs first, block by block; the rows that it keeps are moved together, and what follows sees only these.
//! Knows nothing of what follows.

#![forbid(unsafe_code)]

use super::{Body, Compiled, Error, Formula, Function, Param, Role, Wanted};
use crate::error::RunError;
use crate::isa::x64::abi::Convention;
use crate::run::view::{AsColumn, AsColumnMut, Column, ColumnMut};
use crate::types::{Type, Value};

/// A formula and its filter.
pub(super) struct Filtered {
    pub(super) main: Function,
    filter: Function,
    /// By input of each: its number among those of both.
    main_inputs: Vec<usize>,
    filter_inputs: Vec<usize>,
}

impl<'a> Formula<'a> {
    /// Of the rows of columns, only those are kept for which this condition holds; it is a formula of one row, may use
    /// the same inputs and others, and applies before all else: aggregates are those of the rows that are kept. See
    /// [`Function::eval_kept`].
    ///
    /// ```
    /// let engine = kiln::Engine::new();
    /// let f = engine.formula("x - mean(x)").filter("x > 0 and y < 3").compile()?;
    /// assert_eq!(f.params().iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    /// let mut out = [0.0; 4];
    /// let kept = f.eval_kept(&[&[-5.0, 1.0, 7.0, 3.0], &[0.0, 1.0, 9.0, 2.0]], &mut [&mut out])?;
    /// assert_eq!(out[..kept], [-1.0, 1.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filter(mut self, condition: &'a str) -> Self {
        self.filter = Some(condition);
        self
    }

    /// Compiles it as a formula of one row.
    fn compile_rows(self) -> Result<Function, Error> {
        let mut compiler = self.shared.compiler();
        let compiled = self.front(&mut compiler, &Wanted::Dynamic, false);
        let function = compiled.and_then(|compiled| {
            let body = self.back(&mut compiler, Convention::Buffer)?;
            Ok(Function::new(&self, compiled, body, Role::Whole))
        });
        self.shared.put_back(compiler);
        function
    }

    /// Compiles it with its filter.
    pub(super) fn compile_filtered(&self, condition: &str) -> Result<Function, Error> {
        let main = Formula { filter: None, ..self.clone() }.compile()?;
        let mut filter = Formula { filter: None, source: condition.as_bytes(), ..self.clone() };
        if self.params.is_some() || crate::text::has_signature(self.source) {
            // The inputs are declared: those of the formula are those of the filter.
            let ordinary = main.params().iter().filter(|param| param.validity_of.is_none());
            filter.params = Some(ordinary.map(|param| (param.name.clone(), Some(param.ty))).collect());
        }
        let compiled = filter.compile_rows()?;
        if compiled.outputs()[0].ty != Type::Bool {
            let message = format!("the filter is to be a condition, and it is {}", compiled.outputs()[0].ty);
            return Err(Error::Signature(message));
        }
        let filter = compiled;
        // The inputs of the formula, those that only the filter has, then what says which are there.
        let mut params: Vec<Param> = Vec::new();
        let both = || main.params().iter().chain(filter.params());
        for param in both().filter(|param| param.validity_of.is_none()) {
            if !params.iter().any(|known| known.name == param.name) {
                params.push(param.clone());
            }
        }
        for number in 0..params.len() {
            let name = params[number].name.clone();
            if both().any(|param| param.validity_of.is_some() && param.name == name) {
                params.push(Param { name, ty: Type::Bool, validity_of: Some(number) });
            }
        }
        let place = |param: &Param| {
            let same = |p: &Param| p.name == param.name && p.validity_of.is_some() == param.validity_of.is_some();
            params.iter().position(same).unwrap_or(0)
        };
        let main_inputs = main.params().iter().map(place).collect();
        let filter_inputs = filter.params().iter().map(place).collect();
        let compiled = Compiled {
            outputs: main.outputs().to_vec(),
            fallible: main.is_fallible() || filter.is_fallible(),
            traps: Vec::new(),
            hosts: Vec::new(),
            warnings: main.warnings().iter().chain(filter.warnings()).cloned().collect(),
            params,
        };
        let role = Role::Filtered(Box::new(Filtered { main, filter, main_inputs, filter_inputs }));
        Ok(Function::new(self, compiled, Body::Interpreted(Default::default()), role))
    }
}

/// Rows that were kept, and their columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    holds: Vec<bool>,
    there: Vec<bool>,
    /// The numbers of the rows in their block.
    pub(super) rows: Vec<usize>,
    columns: Vec<Moved>,
}

/// A column whose rows were moved together.
#[derive(Clone, Debug)]
enum Moved {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Moved {
    fn new(ty: Type) -> Moved {
        match ty {
            Type::Bool => Moved::Bool(Vec::new()),
            Type::I32 => Moved::I32(Vec::new()),
            Type::I64 => Moved::I64(Vec::new()),
            Type::F32 => Moved::F32(Vec::new()),
            Type::F64 => Moved::F64(Vec::new()),
        }
    }

    fn fill(&mut self, column: &Column<'_>, kept: &[usize]) {
        macro_rules! fill {
            ($rows:ident, $kind:ident, $nothing:expr) => {{
                $rows.clear();
                $rows.extend(kept.iter().map(|&row| if let Value::$kind(v) = column.get(row) { v } else { $nothing }));
            }};
        }
        match self {
            Moved::Bool(rows) => fill!(rows, Bool, false),
            Moved::I32(rows) => fill!(rows, I32, 0),
            Moved::I64(rows) => fill!(rows, I64, 0),
            Moved::F32(rows) => fill!(rows, F32, 0.0),
            Moved::F64(rows) => fill!(rows, F64, 0.0),
        }
    }

    fn column(&self) -> Column<'_> {
        match self {
            Moved::Bool(rows) => Column::new(rows),
            Moved::I32(rows) => Column::new(rows),
            Moved::I64(rows) => Column::new(rows),
            Moved::F32(rows) => Column::new(rows),
            Moved::F64(rows) => Column::new(rows),
        }
    }
}

impl Filtered {
    /// Finds the rows of a block that are kept, and moves together those columns that the formula has.
    pub(super) fn keep(&self, inputs: &[Column<'_>], rows: usize, kept: &mut Kept) -> Result<(), RunError> {
        let columns: Vec<&dyn AsColumn> = self.filter_inputs.iter().map(|&i| &inputs[i] as &dyn AsColumn).collect();
        kept.holds.clear();
        kept.holds.resize(rows, false);
        kept.there.clear();
        kept.there.resize(rows, true);
        let (mut holds, mut there) = (ColumnMut::new(&mut kept.holds), ColumnMut::new(&mut kept.there));
        let mut outputs: Vec<&mut dyn AsColumnMut> = vec![&mut holds, &mut there];
        outputs.truncate(self.filter.outputs().len());
        self.filter.eval_columns_all(&columns, &mut outputs)?;
        kept.rows.clear();
        kept.rows.extend((0..rows).filter(|&row| kept.holds[row] & kept.there[row]));
        if kept.columns.is_empty() {
            kept.columns.extend(self.main.params().iter().map(|param| Moved::new(param.ty)));
        }
        for (moved, &input) in kept.columns.iter_mut().zip(&self.main_inputs) {
            if inputs[input].rows().is_some() {
                moved.fill(&inputs[input], &kept.rows);
            }
        }
        Ok(())
    }

    /// The columns that the formula has, without the rows that are not kept.
    pub(super) fn columns<'a>(&self, inputs: &[Column<'a>], kept: &'a Kept) -> Vec<Column<'a>> {
        let column = |(moved, &input): (&'a Moved, &usize)| match inputs[input].rows() {
            Some(_) => moved.column(),
            None => inputs[input],
        };
        kept.columns.iter().zip(&self.main_inputs).map(column).collect()
    }
}
