//! Conditions: a change in, yes or no out. Used by filters, validations and the branches of `when`.

use regex::Regex;

use super::Plan;
use super::expr::Program;
use crate::fault::Fault;
use crate::mapping::datum::Datum;
use crate::mapping::scene::Scene;
use crate::mapping::trace::Trail;
use crate::row::Value;

/// A compiled condition.
#[derive(Debug)]
pub enum Test {
    /// Every test of this value holds.
    Value {
        /// The value.
        of: Box<Plan>,
        /// The tests.
        is: Vec<Is>,
        /// How the condition is shown.
        shown: String,
    },
    /// The program yields `true`.
    Expr(Program),
    /// All hold.
    All(Vec<Test>),
    /// At least one holds.
    Any(Vec<Test>),
    /// None holds.
    None(Vec<Test>),
}

/// One test of a value.
#[derive(Debug)]
pub enum Is {
    /// One of these texts.
    OneOf(Vec<String>),
    /// Missing, null or empty; or not.
    Null(bool),
    /// Missing; or not.
    Missing(bool),
    /// The expression finds something.
    Matches(Regex),
}

impl Test {
    /// Whether it holds. Fails when a value cannot be had at all.
    pub fn holds(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<bool, Fault> {
        match self {
            Self::Value { of, is, shown } => {
                let value = of.datum(scene, &mut Trail::off())?;
                let holds = is.iter().all(|test| test.holds(&value));
                trail.step(&of.shown, &value, shown, Ok(&Datum::Boolean(holds)));
                Ok(holds)
            }
            Self::Expr(program) => {
                let yields = program.run(scene.input()?);
                trail.step("expr", &Datum::Missing, "expr", yields.as_ref());
                Ok(matches!(yields?, Datum::Typed(Value::Boolean(true))))
            }
            Self::All(tests) => all(tests, scene, trail),
            Self::Any(tests) => any(tests, scene, trail),
            Self::None(tests) => Ok(!any(tests, scene, trail)?),
        }
    }

    /// Calls `see` with every rule inside.
    pub fn visit<'t>(&'t self, see: &mut dyn FnMut(&'t Plan)) {
        match self {
            Self::Value { of, .. } => of.visit(see),
            Self::Expr(_) => {}
            Self::All(tests) | Self::Any(tests) | Self::None(tests) => {
                for test in tests {
                    test.visit(see);
                }
            }
        }
    }
}

fn all(tests: &[Test], scene: &Scene<'_>, trail: &mut Trail) -> Result<bool, Fault> {
    for test in tests {
        if !test.holds(scene, trail)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any(tests: &[Test], scene: &Scene<'_>, trail: &mut Trail) -> Result<bool, Fault> {
    for test in tests {
        if test.holds(scene, trail)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Is {
    fn holds(&self, value: &Datum<'_>) -> bool {
        match self {
            Self::OneOf(texts) => {
                value.text().is_some_and(|text| texts.iter().any(|one| *one == text))
            }
            Self::Null(wanted) => value.is_blank() == *wanted,
            Self::Missing(wanted) => (*value == Datum::Missing) == *wanted,
            Self::Matches(pattern) => value.text().is_some_and(|text| pattern.is_match(&text)),
        }
    }
}
