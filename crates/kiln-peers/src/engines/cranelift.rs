//! `cranelift-jit`: a code generator without a language; our tree becomes its values.
//!
//! Functions are those of the platform's C library. Values that are equal are found by its own passes.

use super::{Compiled, Engine, Purpose};
use crate::column::Data;
use crate::foreign::{Code, Jitted, jitted};
use crate::formula::{Binary, FUNCTIONS, Formula, Node, Tree, Unary};
use crate::print::chain;
use cranelift_codegen::Context;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{AbiParam, FuncRef, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, default_libcall_names};
use std::collections::HashMap;

/// The target and what can be used again.
pub(super) struct Cranelift {
    isa: Result<OwnedTargetIsa, String>,
    builder: FunctionBuilderContext,
}

impl Cranelift {
    pub(super) fn new() -> Cranelift {
        let isa = || {
            let mut flags = settings::builder();
            for (name, value) in [("use_colocated_libcalls", "false"), ("is_pic", "false"), ("opt_level", "speed")] {
                flags.set(name, value).map_err(|error| error.to_string())?;
            }
            let isa = cranelift_native::builder()?;
            isa.finish(settings::Flags::new(flags)).map_err(|error| error.to_string())
        };
        Cranelift { isa: isa(), builder: FunctionBuilderContext::new() }
    }
}

impl Engine for Cranelift {
    fn name(&self) -> &'static str {
        "cranelift"
    }

    fn note(&self) -> String {
        "opt_level speed, functions of the C library; its loop over columns is scalar".to_owned()
    }

    fn compile(&mut self, formula: &Formula, purpose: Purpose) -> Result<Box<dyn Compiled>, String> {
        // It has no language of its own, so formulas are read by our parser.
        let formula = Formula::parse(&formula.name, &formula.text, formula.inputs.clone())?;
        let isa = self.isa.as_ref().map_err(Clone::clone)?.clone();
        let mut module = JITModule::new(JITBuilder::with_isa(isa, default_libcall_names()));
        let id = self.define(&mut module, &formula, purpose).map_err(|error| format!("{error:?}"))?;
        module.finalize_definitions().map_err(|error| error.to_string())?;
        let (scalar, columns) = if purpose == Purpose::Calls { (Some(id), None) } else { (None, Some(id)) };
        Ok(Box::new(Compilation(jitted(module, scalar, columns, formula.inputs.len()))))
    }
}

impl Cranelift {
    fn define(
        &mut self,
        module: &mut JITModule,
        formula: &Formula,
        purpose: Purpose,
    ) -> Result<FuncId, Box<cranelift_module::ModuleError>> {
        let pointer = module.target_config().pointer_type();
        let mut context = module.make_context();
        if purpose == Purpose::Calls {
            context.func.signature.params.extend(formula.inputs.iter().map(|_| AbiParam::new(types::F64)));
            context.func.signature.returns.push(AbiParam::new(types::F64));
        } else {
            context.func.signature.params.extend([AbiParam::new(pointer); 3]);
        }
        let id = module.declare_function("formula", Linkage::Export, &context.func.signature)?;
        self.body(module, &mut context, formula, purpose, pointer)?;
        module.define_function(id, &mut context)?;
        Ok(id)
    }

    fn body(
        &mut self,
        module: &mut JITModule,
        context: &mut Context,
        formula: &Formula,
        purpose: Purpose,
        pointer: Type,
    ) -> Result<(), Box<cranelift_module::ModuleError>> {
        let config = module.target_config();
        let mut emit = Emit {
            build: FunctionBuilder::new(&mut context.func, &mut self.builder),
            module,
            inputs: vec![],
            lets: vec![],
            functions: HashMap::new(),
        };
        let entry = emit.build.create_block();
        emit.build.append_block_params_for_function_params(entry);
        emit.build.switch_to_block(entry);
        let params = emit.build.block_params(entry).to_vec();
        if purpose == Purpose::Calls {
            emit.inputs = params;
            let value = emit.formula(formula)?;
            emit.build.ins().return_(&[value]);
        } else {
            let &[rows, columns, out] = &params[..] else { return Ok(()) };
            let flags = MemFlagsData::trusted();
            let addresses: Vec<Value> = (0..formula.inputs.len())
                .map(|at| emit.build.ins().load(pointer, flags, columns, at as i32 * pointer.bytes() as i32))
                .collect();
            let (head, body, end) = (emit.build.create_block(), emit.build.create_block(), emit.build.create_block());
            let offset = emit.build.append_block_param(head, pointer);
            let zero = emit.build.ins().iconst(pointer, 0);
            let bytes = emit.build.ins().imul_imm_s(rows, size_of::<f64>() as i64);
            emit.build.ins().jump(head, &[zero.into()]);
            emit.build.switch_to_block(head);
            let more = emit.build.ins().icmp(IntCC::UnsignedLessThan, offset, bytes);
            emit.build.ins().brif(more, body, &[], end, &[]);
            emit.build.switch_to_block(body);
            for address in addresses {
                let place = emit.build.ins().iadd(address, offset);
                let value = emit.build.ins().load(types::F64, flags, place, 0);
                emit.inputs.push(value);
            }
            let value = emit.formula(formula)?;
            let place = emit.build.ins().iadd(out, offset);
            emit.build.ins().store(flags, value, place, 0);
            let next = emit.build.ins().iadd_imm_s(offset, size_of::<f64>() as i64);
            emit.build.ins().jump(head, &[next.into()]);
            emit.build.switch_to_block(end);
            emit.build.ins().return_(&[]);
        }
        emit.build.seal_all_blocks();
        emit.build.finalize(config);
        Ok(())
    }
}

/// Makes its values.
struct Emit<'a, 'f> {
    build: FunctionBuilder<'f>,
    module: &'a mut JITModule,
    inputs: Vec<Value>,
    lets: Vec<Value>,
    functions: HashMap<&'static str, FuncRef>,
}

impl Emit<'_, '_> {
    fn formula(&mut self, formula: &Formula) -> Result<Value, Box<cranelift_module::ModuleError>> {
        for (_, tree) in &formula.lets {
            let value = self.value(tree)?;
            self.lets.push(value);
        }
        let result = self.value(&formula.result)?;
        if !formula.is_condition {
            return Ok(result);
        }
        let (one, zero) = (self.build.ins().f64const(1.0), self.build.ins().f64const(0.0));
        Ok(self.build.ins().select(result, one, zero))
    }

    fn value(&mut self, tree: &Tree) -> Result<Value, Box<cranelift_module::ModuleError>> {
        Ok(match &**tree {
            Node::Number(value) => self.build.ins().f64const(*value),
            Node::Input(at) => self.inputs[*at],
            Node::Let(at) => self.lets[*at],
            Node::Unary(op, a) => {
                let a = self.value(a)?;
                match op {
                    Unary::Neg => self.build.ins().fneg(a),
                    Unary::Abs => self.build.ins().fabs(a),
                    Unary::Sqrt => self.build.ins().sqrt(a),
                    op => self.call(FUNCTIONS.iter().find(|row| row.1 == *op).map_or("", |row| row.0), &[a])?,
                }
            }
            Node::Power(a, n) => {
                let mut square = self.value(a)?;
                let mut product = None;
                let parts = chain(*n);
                for bit in 0..32 - n.leading_zeros() {
                    if bit > 0 {
                        square = self.build.ins().fmul(square, square);
                    }
                    if parts.contains(&(1 << bit)) {
                        product = Some(product.map_or(square, |product| self.build.ins().fmul(product, square)));
                    }
                }
                product.unwrap_or(square)
            }
            Node::Binary(op, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                let compare = |build: &mut FunctionBuilder<'_>, code| build.ins().fcmp(code, a, b);
                match op {
                    Binary::Add => self.build.ins().fadd(a, b),
                    Binary::Sub => self.build.ins().fsub(a, b),
                    Binary::Mul => self.build.ins().fmul(a, b),
                    Binary::Div => self.build.ins().fdiv(a, b),
                    Binary::Min => self.build.ins().fmin(a, b),
                    Binary::Max => self.build.ins().fmax(a, b),
                    Binary::Pow => self.call("pow", &[a, b])?,
                    Binary::Less => compare(&mut self.build, FloatCC::LessThan),
                    Binary::LessEqual => compare(&mut self.build, FloatCC::LessThanOrEqual),
                    Binary::Greater => compare(&mut self.build, FloatCC::GreaterThan),
                    Binary::GreaterEqual => compare(&mut self.build, FloatCC::GreaterThanOrEqual),
                    Binary::And => self.build.ins().band(a, b),
                    Binary::Or => self.build.ins().bor(a, b),
                }
            }
            Node::If(c, a, b) => {
                let (c, a, b) = (self.value(c)?, self.value(a)?, self.value(b)?);
                self.build.ins().select(c, a, b)
            }
        })
    }

    /// Calls a function of the C library.
    fn call(&mut self, name: &'static str, arguments: &[Value]) -> Result<Value, Box<cranelift_module::ModuleError>> {
        let function = match self.functions.get(name) {
            Some(function) => *function,
            None => {
                let mut signature = self.module.make_signature();
                signature.params.extend(arguments.iter().map(|_| AbiParam::new(types::F64)));
                signature.returns.push(AbiParam::new(types::F64));
                let id = self.module.declare_function(name, Linkage::Import, &signature)?;
                let function = self.module.declare_func_in_func(id, self.build.func);
                self.functions.insert(name, function);
                function
            }
        };
        let call = self.build.ins().call(function, arguments);
        Ok(self.build.inst_results(call)[0])
    }
}

struct Compilation(Code<Jitted>);

impl Compiled for Compilation {
    fn calls(&mut self, data: &mut Data) {
        self.0.calls(&data.inputs, &mut data.out);
    }

    fn columns(&mut self, data: &mut Data) {
        self.0.columns(&data.inputs, &mut data.out);
    }
}
