//! Families of instructions: one operation at every vector length, as a table.
//!
//! The one idea: the instruction table lists the lengths of a form one after another, so a family is the first row of
//! each encoding: legacy (128 bits), VEX (128, 256), EVEX (128, 256, 512). A test holds the rows that follow against their
//! names. To use another instruction, add its family; which one is good for what stands elsewhere.

#![forbid(unsafe_code)]

use super::super::insts::*;
use crate::mach::Inst;

/// An operation at every vector length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    legacy: Inst,
    vex: Inst,
    evex: Inst,
}

/// There is no such encoding.
const NONE: Inst = Inst::BIND;

/// Encoding and length of a vector instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Legacy,
    Vex128,
    Vex256,
    Evex128,
    Evex256,
    Evex512,
}

impl Family {
    /// The instruction of this form.
    pub(super) fn inst(self, form: Form) -> Inst {
        let (first, offset) = match form {
            Form::Legacy => (self.legacy, 0),
            Form::Vex128 => (self.vex, 0),
            Form::Vex256 => (self.vex, 1),
            Form::Evex128 => (self.evex, 0),
            Form::Evex256 => (self.evex, 1),
            Form::Evex512 => (self.evex, 2),
        };
        debug_assert!(first != NONE, "{form:?} of a family that has none");
        Inst(first.0 + offset)
    }
}

macro_rules! families {
    ($($name:ident: $legacy:ident $vex:ident $evex:ident;)+) => {
        $(pub(super) const $name: Family = Family { legacy: $legacy, vex: $vex, evex: $evex };)+
        #[cfg(test)]
        const ALL: &[(&str, Family)] = &[$((stringify!($name), $name)),+];
    };
}

#[rustfmt::skip]
families! {
    // name        legacy     VEX, 128 bits      EVEX, 128 bits
    ADD_F32:       ADDPS      VADDPS_128         VADDPS_E128;
    ADD_F64:       ADDPD      VADDPD_128         VADDPD_E128;
    SUB_F32:       SUBPS      VSUBPS_128         VSUBPS_E128;
    SUB_F64:       SUBPD      VSUBPD_128         VSUBPD_E128;
    MUL_F32:       MULPS      VMULPS_128         VMULPS_E128;
    MUL_F64:       MULPD      VMULPD_128         VMULPD_E128;
    DIV_F32:       DIVPS      VDIVPS_128         VDIVPS_E128;
    DIV_F64:       DIVPD      VDIVPD_128         VDIVPD_E128;
    SQRT_F32:      SQRTPS     VSQRTPS_128        VSQRTPS_E128;
    SQRT_F64:      SQRTPD     VSQRTPD_128        VSQRTPD_E128;
    MIN_F32:       MINPS      VMINPS_128         VMINPS_E128;
    MIN_F64:       MINPD      VMINPD_128         VMINPD_E128;
    MAX_F32:       MAXPS      VMAXPS_128         VMAXPS_E128;
    MAX_F64:       MAXPD      VMAXPD_128         VMAXPD_E128;
    AND_F32:       ANDPS      VANDPS_128         VANDPS_E128;
    AND_F64:       ANDPD      VANDPD_128         VANDPD_E128;
    ANDN_F64:      ANDNPD     VANDNPD_128        VANDNPD_E128;
    OR_F32:        ORPS       VORPS_128          VORPS_E128;
    OR_F64:        ORPD       VORPD_128          VORPD_E128;
    XOR_F32:       XORPS      VXORPS_128         VXORPS_E128;
    XOR_F64:       XORPD      VXORPD_128         VXORPD_E128;
    ROUND_F32:     ROUNDPS    VROUNDPS_128       VRNDSCALEPS_E128;
    ROUND_F64:     ROUNDPD    VROUNDPD_128       VRNDSCALEPD_E128;
    FMA_F32:       NONE       VFMADD213PS_128    VFMADD213PS_E128;
    FMA_F64:       NONE       VFMADD213PD_128    VFMADD213PD_E128;
    FMA_TO_F32:    NONE       VFMADD231PS_128    VFMADD231PS_E128;
    FMA_TO_F64:    NONE       VFMADD231PD_128    VFMADD231PD_E128;

    COMPARE_F32:   CMPPS      VCMPPS_128         VCMPPS_E128;
    COMPARE_F64:   CMPPD      VCMPPD_128         VCMPPD_E128;
    COMPARE_I32:   NONE       NONE               VPCMPD_E128;
    COMPARE_I64:   NONE       NONE               VPCMPQ_E128;
    EQUAL_I32:     PCMPEQD    VPCMPEQD_128       NONE;
    EQUAL_I64:     PCMPEQQ    VPCMPEQQ_128       NONE;
    GREATER_I32:   PCMPGTD    VPCMPGTD_128       NONE;
    GREATER_I64:   PCMPGTQ    VPCMPGTQ_128       NONE;
    TEST_I32:      NONE       NONE               VPTESTMD_E128;
    TEST_I64:      NONE       NONE               VPTESTMQ_E128;

    ADD_I32:       PADDD      VPADDD_128         VPADDD_E128;
    ADD_I64:       PADDQ      VPADDQ_128         VPADDQ_E128;
    SUB_I32:       PSUBD      VPSUBD_128         VPSUBD_E128;
    SUB_I64:       PSUBQ      VPSUBQ_128         VPSUBQ_E128;
    MUL_I32:       PMULLD     VPMULLD_128        VPMULLD_E128;
    MUL_I64:       NONE       NONE               VPMULLQ_E128;
    MUL_LOW:       PMULUDQ    VPMULUDQ_128       VPMULUDQ_E128;
    AND_I32:       PAND       VPAND_128          VPANDD_E128;
    AND_I64:       PAND       VPAND_128          VPANDQ_E128;
    OR_I32:        POR        VPOR_128           VPORD_E128;
    OR_I64:        POR        VPOR_128           VPORQ_E128;
    XOR_I32:       PXOR       VPXOR_128          VPXORD_E128;
    XOR_I64:       PXOR       VPXOR_128          VPXORQ_E128;
    MIN_I32:       PMINSD     VPMINSD_128        VPMINSD_E128;
    MIN_I64:       NONE       NONE               VPMINSQ_E128;
    MAX_I32:       PMAXSD     VPMAXSD_128        VPMAXSD_E128;
    MAX_I64:       NONE       NONE               VPMAXSQ_E128;
    SHL_IMM_I32:   PSLLD_IMM  VPSLLD_IMM_128     VPSLLD_IMM_E128;
    SHL_IMM_I64:   PSLLQ_IMM  VPSLLQ_IMM_128     VPSLLQ_IMM_E128;
    SHR_IMM_I32:   PSRLD_IMM  VPSRLD_IMM_128     VPSRLD_IMM_E128;
    SHR_IMM_I64:   PSRLQ_IMM  VPSRLQ_IMM_128     VPSRLQ_IMM_E128;
    SAR_IMM_I32:   PSRAD_IMM  VPSRAD_IMM_128     VPSRAD_IMM_E128;
    SAR_IMM_I64:   NONE       NONE               VPSRAQ_IMM_E128;
    SHL_I32:       NONE       VPSLLVD_128        VPSLLVD_E128;
    SHL_I64:       NONE       VPSLLVQ_128        VPSLLVQ_E128;
    SHR_I32:       NONE       VPSRLVD_128        VPSRLVD_E128;
    SHR_I64:       NONE       VPSRLVQ_128        VPSRLVQ_E128;
    SAR_I32:       NONE       VPSRAVD_128        VPSRAVD_E128;
    SAR_I64:       NONE       NONE               VPSRAVQ_E128;

    BLEND_F32:     NONE       VBLENDVPS_128      VBLENDMPS_E128;
    BLEND_F64:     NONE       VBLENDVPD_128      VBLENDMPD_E128;
    BLEND_I32:     NONE       VPBLENDVB_128      VPBLENDMD_E128;
    BLEND_I64:     NONE       VPBLENDVB_128      VPBLENDMQ_E128;
    SHUFFLE_I32:   PSHUFD     VPSHUFD_128        VPSHUFD_E128;
    UNPACK_I32:    PUNPCKLDQ  VPUNPCKLDQ_128     VPUNPCKLDQ_E128;
    PACK_I32:      PACKSSDW   VPACKSSDW_128      VPACKSSDW_E128;
    PACK_I16:      PACKSSWB   VPACKSSWB_128      VPACKSSWB_E128;
    BROADCAST_32:  NONE       VBROADCASTSS_LOAD_128 VBROADCASTSS_E128;
    SPREAD_I32:    NONE       NONE               VPMOVM2D_E128;
    SPREAD_I64:    NONE       NONE               VPMOVM2Q_E128;

    F32_TO_F64:    CVTPS2PD   VCVTPS2PD_128      VCVTPS2PD_E128;
    F64_TO_F32:    CVTPD2PS   VCVTPD2PS_128      VCVTPD2PS_E128;
    I32_TO_F64:    CVTDQ2PD   VCVTDQ2PD_128      VCVTDQ2PD_E128;
    I32_TO_F32:    CVTDQ2PS   VCVTDQ2PS_128      VCVTDQ2PS_E128;
    I64_TO_F64:    NONE       NONE               VCVTQQ2PD_E128;
    I64_TO_F32:    NONE       NONE               VCVTQQ2PS_E128;
    F64_TO_I32:    CVTTPD2DQ  VCVTTPD2DQ_128     VCVTTPD2DQ_E128;
    F32_TO_I32:    CVTTPS2DQ  VCVTTPS2DQ_128     VCVTTPS2DQ_E128;
    F64_TO_I64:    NONE       NONE               VCVTTPD2QQ_E128;
    F32_TO_I64:    NONE       NONE               VCVTTPS2QQ_E128;
    I32_TO_I64:    PMOVSXDQ   VPMOVSXDQ_128      VPMOVSXDQ_E128;
    I64_TO_I32:    NONE       NONE               VPMOVQD_E128;
    BYTE_TO_I32:   PMOVZXBD   VPMOVZXBD_128      VPMOVZXBD_E128;
    BYTE_TO_I64:   PMOVZXBQ   VPMOVZXBQ_128      VPMOVZXBQ_E128;

    MOVE:          MOVAPS     VMOVAPS_128        VMOVAPS_E128;
    LOAD:          MOVUPS     VMOVUPS_128        VMOVUPS_E128;
    STORE:         MOVUPS_STORE VMOVUPS_STORE_128 VMOVUPS_STORE_E128;
    STREAM:        MOVNTPS_STORE VMOVNTPS_STORE_128 VMOVNTPS_STORE_E128;
    SIGNS_F32:     MOVMSKPS   VMOVMSKPS_128      NONE;
    SIGNS_F64:     MOVMSKPD   VMOVMSKPD_128      NONE;
}

/// The families of a float operation, by type: f32, f64.
macro_rules! by_type {
    ($($name:ident: $f32:ident $f64:ident;)+) => {
        $(pub(super) const $name: [Family; 2] = [$f32, $f64];)+
    };
}
#[rustfmt::skip]
by_type! {
    FADD: ADD_F32 ADD_F64;        FSUB: SUB_F32 SUB_F64;        FMUL: MUL_F32 MUL_F64;        FDIV: DIV_F32 DIV_F64;
    FSQRT: SQRT_F32 SQRT_F64;     FMIN: MIN_F32 MIN_F64;        FMAX: MAX_F32 MAX_F64;        FAND: AND_F32 AND_F64;
    FOR: OR_F32 OR_F64;           FXOR: XOR_F32 XOR_F64;        FROUND: ROUND_F32 ROUND_F64;
    FFMA: FMA_F32 FMA_F64;        FCOMPARE: COMPARE_F32 COMPARE_F64;                          FBLEND: BLEND_F32 BLEND_F64;
    FFMA_TO: FMA_TO_F32 FMA_TO_F64;
    IADD: ADD_I32 ADD_I64;        ISUB: SUB_I32 SUB_I64;        IAND: AND_I32 AND_I64;        
    IOR: OR_I32 OR_I64;           IXOR: XOR_I32 XOR_I64;        IMIN: MIN_I32 MIN_I64;        IMAX: MAX_I32 MAX_I64;
    ISHL_IMM: SHL_IMM_I32 SHL_IMM_I64;  ISHR_IMM: SHR_IMM_I32 SHR_IMM_I64;
    ISHL: SHL_I32 SHL_I64;        ISHR: SHR_I32 SHR_I64;        ISAR: SAR_I32 SAR_I64;
    ICOMPARE: COMPARE_I32 COMPARE_I64;  IEQUAL: EQUAL_I32 EQUAL_I64;  IGREATER: GREATER_I32 GREATER_I64;
    ITEST: TEST_I32 TEST_I64;     IBLEND: BLEND_I32 BLEND_I64;  ISPREAD: SPREAD_I32 SPREAD_I64;
    FROM_BYTES: BYTE_TO_I32 BYTE_TO_I64;  SIGNS: SIGNS_F32 SIGNS_F64;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of the row that follows by so many.
    fn name(inst: Inst, offset: u16) -> &'static str {
        row(Inst(inst.0 + offset)).info.name
    }

    #[test]
    fn lengths_follow_each_other() {
        for &(family, Family { legacy: _, vex, evex }) in ALL {
            if vex != NONE {
                let stem = name(vex, 0).strip_suffix("_128").expect(family);
                assert_eq!(name(vex, 1), format!("{stem}_256"), "{family}");
            }
            if evex != NONE {
                let stem = name(evex, 0).strip_suffix("_E128").expect(family);
                assert_eq!(name(evex, 1), format!("{stem}_E256"), "{family}");
                assert_eq!(name(evex, 2), format!("{stem}_512"), "{family}");
            }
        }
    }
}
