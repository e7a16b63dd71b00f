//! Texts of formulas to compiled ones: which name means which column, in which order things are computed, what comes out.
//!
//! Owns the slots: one for each column of the schema, then one for each result of each formula. The one idea: a name in
//! a formula is the nearest earlier new column of that name, else a column of the schema; in the filter columns of the
//! schema go first, so that a replaced column is filtered by what it was. The filter is computed first, with those new
//! columns that it uses, so rows that are dropped cost nothing more and cannot fail.

use crate::error::{Error, Part, Wrong};
use crate::formula::Formula;
use crate::names::{is_word, is_word_part, mention};
use crate::passes::{Order, Work};
use crate::read::{can_read, type_of};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use kiln::{Engine, Function, Output, Span, Type};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Where a column of the output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The column of the input in this place, as it is.
    Column(usize),
    /// The new column of this number, in the order of [`Program::names`].
    New(usize),
}

/// A compiled formula and the slots of its arguments.
pub(crate) struct Step {
    pub(crate) part: Part,
    pub(crate) formula: Formula,
    pub(crate) arguments: Vec<usize>,
    /// How often it takes all rows before it has results.
    pub(crate) feeds: usize,
    /// The slots of the results.
    pub(crate) targets: Range<usize>,
}

/// New columns and a filter, compiled for batches of one schema. It can be used from several threads at once.
///
/// A program is made by [`Program::builder`]. One whose formulas stand for all rows somewhere, as `x - mean(x)`, takes all
/// batches more than once: see [`Program::start`].
pub struct Program {
    pub(crate) input: SchemaRef,
    /// As what each column of the schema is read, if formulas can compute with it.
    pub(crate) types: Vec<Option<Type>>,
    /// The new columns.
    names: Vec<String>,
    pub(crate) filter: Option<Step>,
    /// The formulas in the order in which they are computed; the first `early` of them are what the filter uses.
    pub(crate) steps: Vec<Step>,
    pub(crate) early: usize,
    /// What happens in each pass over all rows.
    pub(crate) passes: Vec<Work>,
    layout: Vec<Target>,
    output: SchemaRef,
}

/// Collects what a [`Program`] is to do.
#[derive(Clone)]
pub struct Builder<'a> {
    engine: &'a Engine,
    columns: Vec<(Option<String>, String)>,
    filter: Option<String>,
    select: Option<Vec<String>>,
    types: HashMap<String, Type>,
}

impl<'a> Builder<'a> {
    /// One more column, or another one in the place of the column of that name. The formula may use the columns of the
    /// schema and those that were added before. A formula with named results gives a column for each, `name.result`.
    #[must_use]
    pub fn column(mut self, name: &str, formula: &str) -> Self {
        self.columns.push((Some(name.to_owned()), formula.to_owned()));
        self
    }

    /// A column for each result of a formula that names its results: `{ r: hypot(x, y), phi: atan2(y, x) }`.
    #[must_use]
    pub fn columns(mut self, formula: &str) -> Self {
        self.columns.push((None, formula.to_owned()));
        self
    }

    /// Keeps only the rows for which this is true; where it is null, it is not. It may use all columns, and goes first.
    /// Aggregates over rows in it, and in the new columns that it uses, are about all rows; those in other new columns
    /// about the rows that are kept.
    #[must_use]
    pub fn filter(mut self, formula: &str) -> Self {
        self.filter = Some(formula.to_owned());
        self
    }

    /// The columns that come out, in this order. Otherwise all do, then the new ones.
    #[must_use]
    pub fn select<S: AsRef<str>>(mut self, names: &[S]) -> Self {
        self.select = Some(names.iter().map(|name| name.as_ref().to_owned()).collect());
        self
    }

    /// Formulas see this column as `ty`: every number can be read as `f64`, decimals too, and every int as `i64`. The
    /// column itself passes through as it is.
    #[must_use]
    pub fn read(mut self, name: &str, ty: Type) -> Self {
        self.types.insert(name.to_owned(), ty);
        self
    }

    /// Compiles the formulas.
    ///
    /// # Errors
    /// A formula that is wrong, a name that means no column or several, a column that formulas cannot compute with.
    pub fn build(self, schema: &SchemaRef) -> Result<Program, Error> {
        let types = input_types(&self.types, schema)?;
        let mut scope = Scope { schema, types: &types, lets: Vec::new(), columns_first: false };
        let (mut steps, mut fields) = (Vec::new(), Vec::new());
        for (index, (name, text)) in self.columns.iter().enumerate() {
            let part = Part::Column(index);
            let (formula, arguments) = scope.compile(self.engine, part, text)?;
            let error = |wrong| Error { part, text: text.clone(), span: Span::default(), wrong };
            let first = schema.fields().len() + scope.lets.len();
            let outputs = formula.function().outputs();
            for output in outputs {
                let name = result_name(name.as_deref(), output).ok_or_else(|| error(Wrong::NoName))?;
                if scope.lets.iter().any(|(known, _)| *known == name) {
                    return Err(error(Wrong::Twice(name)));
                }
                fields.push(Field::new(&name, data_type(output.ty), true));
                scope.lets.push((name, output.ty));
            }
            let (targets, feeds) = (first..first + outputs.len(), formula.feeds());
            steps.push(Step { part, formula, arguments, feeds, targets });
        }
        scope.columns_first = true;
        let filter = self.filter.as_ref().map(|text| scope.filter(self.engine, text)).transpose()?;
        let names: Vec<String> = scope.lets.into_iter().map(|(name, _)| name).collect();
        let (steps, early) = filter_first(steps, filter.as_ref());
        let order = Order { steps: &steps, early, filter: filter.as_ref() };
        let passes = order.schedule(types.len(), types.len() + names.len());
        let layout = self.layout(schema, &names)?;
        let output = output_schema(schema, &layout, &fields);
        Ok(Program { input: schema.clone(), types, names, filter, steps, early, passes, layout, output })
    }

    /// What comes out.
    fn layout(&self, schema: &Schema, names: &[String]) -> Result<Vec<Target>, Error> {
        let new = |name: &str| names.iter().position(|new| new == name).map(Target::New);
        let Some(select) = &self.select else {
            let columns = schema.fields().iter().enumerate();
            let kept = columns.map(|(column, field)| new(field.name()).unwrap_or(Target::Column(column)));
            let added = names.iter().enumerate().filter(|(_, name)| schema.column_with_name(name).is_none());
            return Ok(kept.chain(added.map(|(index, _)| Target::New(index))).collect());
        };
        let find = |name: &String| {
            let error = |wrong| Error { part: Part::Select, text: String::new(), span: Span::default(), wrong };
            match (new(name), schema.column_with_name(name)) {
                (Some(target), _) => Ok(target),
                (None, Some(_)) if is_ambiguous(schema, name) => Err(error(Wrong::TwoColumns(name.clone()))),
                (None, Some((column, _))) => Ok(Target::Column(column)),
                (None, None) => Err(error(Wrong::NoColumn(name.clone()))),
            }
        };
        select.iter().map(find).collect()
    }
}

/// As what each column is read.
pub(crate) fn input_types(requests: &HashMap<String, Type>, schema: &Schema) -> Result<Vec<Option<Type>>, Error> {
    let mut types: Vec<Option<Type>> = schema.fields().iter().map(|field| type_of(field.data_type())).collect();
    let mut requests: Vec<(&String, &Type)> = requests.iter().collect();
    requests.sort();
    for (name, &wanted) in requests {
        let error = |wrong| Error { part: Part::Read, text: String::new(), span: Span::default(), wrong };
        let Some((column, field)) = schema.column_with_name(name) else {
            return Err(error(Wrong::NoColumn(name.clone())));
        };
        if !can_read(field.data_type(), wanted) {
            let (name, data_type) = (name.clone(), field.data_type().clone());
            return Err(error(Wrong::Unreadable { name, data_type, wanted }));
        }
        types[column] = Some(wanted);
    }
    Ok(types)
}

/// The name of the column that a result becomes.
pub(crate) fn result_name(name: Option<&str>, output: &Output) -> Option<String> {
    match (name, output.name.as_str()) {
        (None, "") => None,
        (Some(name), "") => Some(name.to_owned()),
        (Some(name), result) => Some(format!("{name}.{result}")),
        (None, result) => Some(result.to_owned()),
    }
}

/// The type of the arrays of results.
pub(crate) fn data_type(ty: Type) -> DataType {
    match ty {
        Type::F64 => DataType::Float64,
        Type::F32 => DataType::Float32,
        Type::I64 => DataType::Int64,
        Type::I32 => DataType::Int32,
        Type::Bool => DataType::Boolean,
    }
}

fn is_ambiguous(schema: &Schema, name: &str) -> bool {
    schema.fields().iter().filter(|field| field.name() == name).nth(1).is_some()
}

/// The schema of what comes out. What is said about the whole stays, unless it may speak of columns that are gone.
fn output_schema(schema: &Schema, layout: &[Target], new: &[Field]) -> SchemaRef {
    let field = |target: &Target| match *target {
        Target::Column(column) => schema.fields()[column].clone(),
        Target::New(index) => Arc::new(new[index].clone()),
    };
    let mut metadata = schema.metadata().clone();
    let complete = (0..schema.fields().len()).all(|column| layout.contains(&Target::Column(column)));
    if !complete {
        metadata.remove("pandas");
    }
    Arc::new(Schema::new_with_metadata(layout.iter().map(field).collect::<Vec<_>>(), metadata))
}

/// Moves what the filter uses to the front, otherwise keeping the order.
fn filter_first(steps: Vec<Step>, filter: Option<&Step>) -> (Vec<Step>, usize) {
    let mut wanted: Vec<usize> = filter.map(|step| step.arguments.clone()).unwrap_or_default();
    let is_wanted = |wanted: &[usize], step: &Step| wanted.iter().any(|slot| step.targets.contains(slot));
    for step in steps.iter().rev() {
        if is_wanted(&wanted, step) {
            wanted.extend_from_slice(&step.arguments);
        }
    }
    let (mut first, rest): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(|step| is_wanted(&wanted, step));
    let early = first.len();
    first.extend(rest);
    (first, early)
}

/// The names that a formula can use, while the program is made.
pub(crate) struct Scope<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) types: &'a [Option<Type>],
    /// Names and types of new columns so far.
    pub(crate) lets: Vec<(String, Type)>,
    /// In the filter, columns of the schema go before new ones.
    pub(crate) columns_first: bool,
}

impl Scope<'_> {
    /// The slot and type that a name means, if formulas can compute with it.
    fn find(&self, name: &str) -> Option<(usize, Type)> {
        let new = self.lets.iter().position(|(known, _)| known == name);
        let new = new.map(|index| (self.types.len() + index, self.lets[index].1));
        let column = self.schema.column_with_name(name).and_then(|(column, _)| Some((column, self.types[column]?)));
        let column = column.filter(|_| !is_ambiguous(self.schema, name));
        if self.columns_first { column.or(new) } else { new.or(column) }
    }

    /// All names, each once, that a formula can spell.
    fn names(&self) -> impl Iterator<Item = &str> {
        let columns = self.schema.fields().iter().map(|field| field.name().as_str());
        let new = self.lets.iter().map(|(name, _)| name.as_str());
        columns.chain(new.filter(|name| self.schema.column_with_name(name).is_none())).filter(|name| !name.is_empty())
    }

    /// Compiles a formula over these names.
    pub(crate) fn compile(&self, engine: &Engine, part: Part, text: &str) -> Result<(Formula, Vec<usize>), Error> {
        let formula = self.names().fold(engine.formula(text), |formula, name| match self.find(name) {
            Some((_, ty)) => formula.known(name, ty),
            None => formula,
        });
        let formula = Formula::compile(formula).map_err(|error| self.explain(part, text, error))?;
        let mut arguments = Vec::new();
        for param in formula.function().params() {
            let name = param.name.as_str();
            let (slot, ty) = self.find(name).ok_or_else(|| self.unknown(part, text, name))?;
            if ty != param.ty {
                let span = mention(text, name).unwrap_or_default();
                let wrong = Wrong::Declared { name: name.to_owned(), declared: param.ty, ty };
                return Err(Error { part, text: text.to_owned(), span, wrong });
            }
            arguments.push(slot);
        }
        Ok((formula, arguments))
    }

    /// Compiles the filter.
    fn filter(&self, engine: &Engine, text: &str) -> Result<Step, Error> {
        let (formula, arguments) = self.compile(engine, Part::Filter, text)?;
        match formula.function().outputs() {
            [output] if output.ty == Type::Bool => {
                let feeds = formula.feeds();
                Ok(Step { part: Part::Filter, formula, arguments, feeds, targets: 0..0 })
            }
            outputs => {
                let (span, wrong) = (Span::new(0, text.len() as u32), Wrong::NotABool(outputs.to_vec()));
                Err(Error { part: Part::Filter, text: text.to_owned(), span, wrong })
            }
        }
    }

    /// Why a formula does not compile, in words about columns where these explain it.
    fn explain(&self, part: Part, text: &str, error: kiln::Error) -> Error {
        if let Some(name) = self.names().find(|name| self.find(name).is_none() && mention(text, name).is_some()) {
            return self.unknown(part, text, name);
        }
        let ends = |name: &str| name.starts_with(is_word_part) && name.ends_with(is_word_part);
        let plain = |span: &Span| !span.text(text).starts_with('`');
        let bare = |name: &str| mention(text, name).filter(|span| !is_word(name) && ends(name) && plain(span));
        let is_syntax = error.diagnostics().iter().any(|d| d.is_error() && d.code.starts_with("syntax"));
        let (span, wrong) = match self.names().find_map(|name| Some((name, bare(name)?))).filter(|_| is_syntax) {
            Some((name, span)) => (span, Wrong::Unticked(name.to_owned())),
            None => (Span::default(), Wrong::Formula(error)),
        };
        Error { part, text: text.to_owned(), span, wrong }
    }

    /// The error that a name means nothing that formulas can compute with.
    fn unknown(&self, part: Part, text: &str, name: &str) -> Error {
        let owned = name.to_owned();
        let wrong = match self.schema.column_with_name(name) {
            None => Wrong::NoColumn(owned),
            Some(_) if is_ambiguous(self.schema, name) => Wrong::TwoColumns(owned),
            Some((_, field)) => Wrong::NotNumbers { name: owned, data_type: field.data_type().clone() },
        };
        Error { part, text: text.to_owned(), span: mention(text, name).unwrap_or_default(), wrong }
    }
}

impl Program {
    /// A program that does nothing yet.
    #[must_use]
    pub fn builder(engine: &Engine) -> Builder<'_> {
        Builder { engine, columns: Vec::new(), filter: None, select: None, types: HashMap::new() }
    }

    /// The schema of the batches that come out. New columns can hold nulls.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.output
    }

    /// The schema of what comes out where other columns pass through.
    pub(crate) fn output_of(&self, passed: &Schema) -> SchemaRef {
        let field = |(target, field): (&Target, &Arc<Field>)| match *target {
            Target::Column(column) => passed.fields()[column].clone(),
            Target::New(_) => field.clone(),
        };
        let fields = self.layout.iter().zip(self.output.fields()).map(field);
        Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), self.output.metadata().clone()))
    }

    /// The schema of the batches that go in.
    #[must_use]
    pub fn input_schema(&self) -> &SchemaRef {
        &self.input
    }

    /// The names of the new columns, in the order of the formulas and their results.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What comes out: a place of the input or a new column for each column of [`Program::schema`].
    #[must_use]
    pub fn layout(&self) -> &[Target] {
        &self.layout
    }

    /// The places of the columns that formulas read, in ascending order.
    #[must_use]
    pub fn used(&self) -> Vec<usize> {
        let arguments = self.steps.iter().chain(&self.filter).flat_map(|step| &step.arguments);
        let columns: BTreeSet<usize> = arguments.copied().filter(|&slot| slot < self.types.len()).collect();
        columns.into_iter().collect()
    }

    /// How often all rows are taken, the results included: once without aggregates over rows.
    #[must_use]
    pub fn passes(&self) -> usize {
        self.passes.len()
    }

    /// The first part that takes all rows before it has results.
    #[must_use]
    pub fn about_all_rows(&self) -> Option<Part> {
        self.steps.iter().chain(&self.filter).find(|step| step.feeds > 0).map(|step| step.part)
    }

    /// The formulas by number.
    pub(crate) fn order(&self) -> Order<'_> {
        Order { steps: &self.steps, early: self.early, filter: self.filter.as_ref() }
    }

    /// The places of the columns that the filter needs, in ascending order.
    #[must_use]
    pub fn used_by_filter(&self) -> Vec<usize> {
        let arguments = self.steps[..self.early].iter().chain(&self.filter).flat_map(|step| &step.arguments);
        let columns: BTreeSet<usize> = arguments.copied().filter(|&slot| slot < self.types.len()).collect();
        columns.into_iter().collect()
    }

    /// The compiled formula of a part: for its warnings, and for places in its text.
    #[must_use]
    pub fn function(&self, part: Part) -> Option<&Function> {
        self.steps.iter().chain(&self.filter).find(|step| step.part == part).map(|step| step.formula.function())
    }
}
