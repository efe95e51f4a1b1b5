//! The expression language of maps: jq, for what the other parts cannot say.
//!
//! A program is compiled once. Its input is the object of all properties; `$change` holds the change's
//! facts, codes and edges. It yields one value of bounded size. A program is refused that could run
//! without end or look beyond its input: definitions, loops without a bound, environment, clock, input.

use std::fmt::Write as _;

use jaq_core::data::JustLut;
use jaq_core::load::lex::{Lexer, StrPart, Tok, Token};
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, compile, native, unwrap_valr};
use jaq_json::Val;

use super::{inconvertible, number};
use crate::change::Change;
use crate::fault::Fault;
use crate::mapping::datum::Datum;
use crate::mapping::scene::operation;
use crate::row::Value;

/// The longest text a program may yield, in bytes.
const LONGEST: usize = 1024 * 1024;
/// The deepest JSON a program is given; the parser and every walk over it are recursive.
const DEEPEST: usize = 96;
/// The longest program.
const LONGEST_PROGRAM: usize = 16 * 1024;
/// Words that could run without end or look beyond the input.
const REFUSED: [&str; 19] = [
    "def",
    "repeat",
    "while",
    "until",
    "recurse",
    "range",
    "input",
    "inputs",
    "input_line_number",
    "env",
    "now",
    "localtime",
    "strflocaltime",
    "halt",
    "halt_error",
    "debug",
    "stderr",
    "import",
    "include",
];

type Data = JustLut<Val>;

/// A compiled program.
pub struct Program {
    filter: Filter<Data>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Program")
    }
}

/// What programs see of one change.
#[derive(Clone, Debug)]
pub struct Input {
    properties: Val,
    change: Val,
}

impl Program {
    /// Compiles a program. Says what is wrong with it otherwise.
    pub fn compile(code: &str) -> Result<Self, String> {
        if code.len() > LONGEST_PROGRAM {
            return Err("the program is longer than 16 KiB".to_owned());
        }
        let tokens = Lexer::new(code).lex().map_err(|errors| {
            let (expected, found) = errors.into_iter().next().unzip();
            near(expected.map(|expected| expected.as_str()), found)
        })?;
        if let Some(word) = tokens.iter().find_map(refused) {
            return Err(format!("`{word}` is not allowed in a map"));
        }
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let funs = funs.filter(|(name, _, _)| *name != "fromjson").chain([from_json()]);
        let arena = Arena::default();
        let modules =
            Loader::new(defs).load(&arena, File { code, path: () }).map_err(parse_error)?;
        let compiler = Compiler::default().with_funs(funs).with_global_vars(["$change"]);
        let filter = compiler.compile(modules).map_err(undefined)?;
        Ok(Self { filter })
    }

    /// Runs it. No output is a missing value; two outputs, and errors of the program, are refused.
    pub fn run(&self, input: &Input) -> Result<Datum<'static>, Fault> {
        let vars = Vars::new([input.change.clone()]);
        let context = Ctx::<Data>::new(&self.filter.lut, vars);
        let mut outputs = self.filter.id.run((context, input.properties.clone())).map(unwrap_valr);
        let Some(first) = outputs.next() else { return Ok(Datum::Missing) };
        let value = first.map_err(|error| {
            let text: String = error.to_string().chars().take(300).collect();
            inconvertible("the expression failed on this change").detail(text)
        })?;
        if outputs.next().is_some() {
            return Err(inconvertible("the expression yields more than one value"));
        }
        datum(&value)
    }
}

fn datum(value: &Val) -> Result<Datum<'static>, Fault> {
    Ok(match value {
        Val::Null => Datum::Null,
        Val::Bool(yes) => Datum::Typed(Value::Boolean(*yes)),
        Val::Num(number) => {
            let text = number.to_string();
            match number::integer(&text) {
                Ok(whole) => Datum::Typed(Value::Integer(whole)),
                Err(_) => {
                    Datum::Typed(Value::Decimal(number::Notation::default().read_json(&text)?))
                }
            }
        }
        Val::TStr(bytes) if bytes.len() <= LONGEST => {
            Datum::Text(String::from_utf8_lossy(bytes).into_owned().into())
        }
        Val::Arr(_) | Val::Obj(_) => Datum::Json(written(value)?.into()),
        Val::TStr(_) => return Err(inconvertible("the expression yields more than 1 MiB")),
        Val::BStr(_) => return Err(inconvertible("the expression yields bytes, not text")),
    })
}

/// A list or object as JSON, given up when it grows too large.
fn written(value: &Val) -> Result<String, Fault> {
    struct Bounded(String);
    impl std::fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            if self.0.len() + text.len() > LONGEST {
                return Err(std::fmt::Error);
            }
            self.0.push_str(text);
            Ok(())
        }
    }
    let mut text = Bounded(String::new());
    let done = write!(text, "{value}");
    done.map_err(|_| inconvertible("the expression yields more than 1 MiB"))?;
    Ok(text.0)
}

impl Input {
    /// The properties, and the change's own facts.
    pub fn of(change: &Change<'_>) -> Result<Self, Fault> {
        let mut properties = String::from("{");
        for (index, (name, value)) in change.properties.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let name = serde_json::Value::from(&**name);
            // writing to a text cannot fail
            let _ok = write!(properties, "{comma}{name}:{}", value.get());
        }
        properties.push('}');
        let facts = serde_json::json!({
            "id": change.id,
            "entity": change.entity,
            "operation": operation(change.kind),
            "version": change.order.version,
            "emitted": change.order.emitted.to_string(),
            "event_id": change.event_id,
            "correlation": change.correlation.to_string(),
            "codes": change.codes,
            "edges": change.edges.iter().map(|edge| serde_json::json!({
                "type": edge.kind, "from": edge.from, "to": edge.to,
            })).collect::<Vec<_>>(),
        });
        Ok(Self { properties: parsed(&properties)?, change: parsed(&facts.to_string())? })
    }
}

/// `fromjson`, and with it `tonumber`, for texts that are not nested too deeply: the library's own reads
/// any text recursively, and a text of a payload must not be able to end the process.
fn from_json() -> native::Fun<Data> {
    native::run(("fromjson", native::v(0), |(_, value)| {
        let read = value.try_as_utf8_bytes_owned().and_then(|bytes| {
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            parsed(text).map_err(|fault| jaq_core::Error::str(fault.message))
        });
        native::bome(read)
    }))
}

fn parsed(json: &str) -> Result<Val, Fault> {
    if depth(json) > DEEPEST {
        return Err(inconvertible("the JSON is nested too deeply for an expression"));
    }
    let read = jaq_json::read::parse_single(json.as_bytes());
    read.map_err(|_| inconvertible("the text cannot be read as JSON by an expression"))
}

/// How deeply lists and objects are nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn refused<'t>(token: &Token<&'t str>) -> Option<&'t str> {
    match &token.1 {
        Tok::Word => Some(token.0).filter(|word| REFUSED.contains(word)),
        Tok::Var => Some(token.0).filter(|name| matches!(*name, "$ENV" | "$__prog_args")),
        Tok::Block(inner) => inner.iter().find_map(refused),
        Tok::Str(parts) => parts.iter().find_map(|part| match part {
            StrPart::Term(token) => refused(token),
            StrPart::Str(_) | StrPart::Char(_) => None,
        }),
        Tok::Fmt | Tok::Num | Tok::Sym => None,
    }
}

fn near(expected: Option<&str>, found: Option<&str>) -> String {
    let found: String = found.unwrap_or_default().chars().take(20).collect();
    let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
    format!("expected {} before {found}", expected.unwrap_or("something else"))
}

fn parse_error(errors: load::Errors<&str, ()>) -> String {
    let first = errors.into_iter().next().map(|(_, error)| error);
    match first {
        Some(load::Error::Parse(errors)) => match errors.into_iter().next() {
            Some((expected, found)) => near(Some(expected.as_str()), Some(found)),
            None => "the program cannot be read".to_owned(),
        },
        Some(load::Error::Io(_) | load::Error::Lex(_)) | None => {
            "the program cannot be read".to_owned()
        }
    }
}

fn undefined(errors: compile::Errors<&str, ()>) -> String {
    let names = errors.into_iter().flat_map(|(_, errors)| errors);
    let names: Vec<String> =
        names.map(|(name, what)| format!("{} `{name}`", what.as_str())).collect();
    format!("not known: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::sample::change;

    fn run(code: &str, properties: &str) -> Result<String, String> {
        let program = Program::compile(code)?;
        let input = Input::of(&change(properties)).map_err(|fault| fault.to_string())?;
        program.run(&input).map(|datum| datum.show()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_program_sees_properties_and_the_change_and_keeps_numbers_exact() {
        let properties = r#"{"a.b":"x","n":18446744073709551616.10,"l":[1,{"c":"d"}]}"#;
        for (code, expected) in [
            (r#".["a.b"] | ascii_upcase"#, r#""X""#),
            (".n", "18446744073709551616.10"),
            (".l[1].c", r#""d""#),
            (".missing", "null"),
            (".l | length", "2"),
            (".l | length > 1", "true"),
            ("empty", "missing"),
            ("$change.codes[1]", r#""/Customer#SAP:00:104711""#),
            ("$change.operation", r#""upsert""#),
            ("[.l[0], 2]", "[1,2]"),
        ] {
            assert_eq!(run(code, properties).as_deref(), Ok(expected), "{code}");
        }
    }

    #[test]
    fn errors_and_several_outputs_are_refused_without_showing_a_value() {
        for code in [".a + 1", ".a, .a", "error(.a)", "nan", "1 / 0"] {
            let refused = run(code, r#"{"a":"hunter2"}"#).unwrap_err();
            assert!(
                refused.starts_with("inconvertible") && !refused.contains("hunter2"),
                "{refused}"
            );
        }
    }

    #[test]
    fn programs_that_cannot_be_compiled_or_could_run_for_ever_are_refused() {
        for code in [
            ".a |",
            "(",
            "\"",
            "nosuch",
            "$nosuch",
            "def f: f; f",
            "repeat(.)",
            "[range(1;9)]",
            "env",
            "$ENV",
            "now",
            "\"\\(input)\"",
            "{a: recurse(.)}",
            "halt",
        ] {
            assert!(Program::compile(code).is_err(), "{code}");
        }
    }

    #[test]
    fn deep_input_is_refused_before_it_can_exhaust_the_stack() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let change = change(&deep);
        assert!(Input::of(&change).is_err());
        let text = serde_json::json!({ "a": "[".repeat(100_000), "n": "12.50" }).to_string();
        for code in [".a | fromjson", ".a | tonumber", "try (.a | fromjson) catch 1 | error"] {
            assert!(run(code, &text).is_err(), "{code}");
        }
        assert_eq!(run(".n | tonumber", &text).as_deref(), Ok("12.50"));
    }
}
