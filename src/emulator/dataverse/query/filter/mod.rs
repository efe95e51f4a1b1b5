//! `$filter` text to a condition. Precedence is `or`, `and`, `not`, comparison; parentheses may be nested
//! [`DEEPEST`] levels. Anything that is no condition is refused with `0x80060888`.

use std::collections::BTreeMap;

use super::expression::{Comparison, Expression, Related, TextTest};
use super::lex::{Token, tokens};
use super::literal;
use super::operand::Operand;
use crate::emulator::dataverse::refusal::Refusal;

/// How deep conditions may be nested.
pub const DEEPEST: usize = 50;

/// Parameter aliases of the query string: `@p1` to the text of its value.
pub type Aliases = BTreeMap<String, String>;

/// Reads a condition.
pub fn read(text: &str, aliases: &Aliases) -> Result<Expression, Refusal> {
    let mut reader = Reader { text, tokens: tokens(text)?, at: 0, depth: 0, aliases };
    let found = reader.either()?;
    if reader.at < reader.tokens.len() { Err(reader.wrong()) } else { Ok(found) }
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    aliases: &'a Aliases,
}

impl Reader<'_> {
    fn either(&mut self) -> Result<Expression, Refusal> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(too_deep());
        }
        let mut parts = vec![self.both()?];
        while self.keyword("or") {
            parts.push(self.both()?);
        }
        self.depth -= 1;
        Ok(one_or(parts, Expression::Or))
    }

    fn both(&mut self) -> Result<Expression, Refusal> {
        let mut parts = vec![self.not()?];
        while self.keyword("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn not(&mut self) -> Result<Expression, Refusal> {
        let mut negated = false;
        while self.keyword("not") {
            negated = !negated;
        }
        let found = self.comparison()?;
        Ok(if negated { found.negated() } else { found })
    }

    fn comparison(&mut self) -> Result<Expression, Refusal> {
        let left = self.primary()?;
        let op = match self.tokens.get(self.at) {
            Some(Token::Word(word)) => comparison(word),
            _ => None,
        };
        let Some(op) = op else { return Ok(left) };
        self.at += 1;
        Ok(Expression::compare(op, left, self.primary()?))
    }

    fn primary(&mut self) -> Result<Expression, Refusal> {
        match self.next() {
            Some(Token::Mark('(')) => {
                let inner = self.either()?;
                self.mark(')')?;
                Ok(inner)
            }
            Some(Token::Text(text) | Token::Enum(text)) => {
                Ok(Expression::Value(Operand::Text(text)))
            }
            Some(Token::Word(word)) => match literal::read(&word) {
                Some(value) => Ok(Expression::Value(value)),
                None if word.starts_with('@') => self.alias(&word),
                None if self.peek('(') => self.call(&word),
                None => self.path(word),
            },
            Some(Token::Mark(_)) | None => Err(self.wrong()),
        }
    }

    fn alias(&mut self, name: &str) -> Result<Expression, Refusal> {
        let Some(text) = self.aliases.get(name) else {
            let message = format!("The parameter alias '{name}' has no value in the request.");
            return Err(Refusal::bad("0x80060888", message));
        };
        match tokens(text)?.as_slice() {
            [Token::Text(text) | Token::Enum(text)] => {
                Ok(Expression::Value(Operand::Text(text.clone())))
            }
            [Token::Word(word)] => literal::read(word).map_or_else(
                || Ok(Expression::Path(vec![word.clone()])),
                |value| Ok(Expression::Value(value)),
            ),
            _ => Err(self.wrong()),
        }
    }

    /// Names between slashes, ending in a lambda when the last is `any(` or `all(`.
    fn path(&mut self, first: String) -> Result<Expression, Refusal> {
        let mut path = vec![first];
        while self.take('/') {
            let Some(Token::Word(name)) = self.next() else { return Err(self.wrong()) };
            if (name == "any" || name == "all") && self.peek('(') {
                return self.lambda(path, name == "all");
            }
            path.push(name);
        }
        Ok(Expression::Path(path))
    }

    /// `(o:o/name eq 'X')`; the colon may have spaces around it.
    fn lambda(&mut self, path: Vec<String>, every: bool) -> Result<Expression, Refusal> {
        self.mark('(')?;
        if self.take(')') && !every {
            let (variable, test) = (String::new(), None);
            return Ok(Expression::Related(Related { path, every, variable, test }));
        }
        let Some(Token::Word(word)) = self.next() else { return Err(self.wrong()) };
        let Some((variable, rest)) = word.split_once(':') else {
            return self.spaced(path, every, word);
        };
        if !rest.is_empty() {
            self.at -= 1;
            if let Some(token) = self.tokens.get_mut(self.at) {
                *token = Token::Word(rest.to_owned());
            }
        }
        self.lambda_body(path, every, variable.to_owned())
    }

    /// A lambda whose colon stands apart from its variable.
    fn spaced(
        &mut self,
        path: Vec<String>,
        every: bool,
        variable: String,
    ) -> Result<Expression, Refusal> {
        let Some(Token::Word(word)) = self.tokens.get_mut(self.at) else {
            return Err(self.wrong());
        };
        let Some(rest) = word.strip_prefix(':').map(str::to_owned) else {
            return Err(self.wrong());
        };
        if rest.is_empty() {
            self.at += 1;
        } else {
            *word = rest;
        }
        self.lambda_body(path, every, variable)
    }

    fn lambda_body(
        &mut self,
        path: Vec<String>,
        every: bool,
        variable: String,
    ) -> Result<Expression, Refusal> {
        let test = Some(Box::new(self.either()?));
        self.mark(')')?;
        Ok(Expression::Related(Related { path, every, variable, test }))
    }

    fn call(&mut self, name: &str) -> Result<Expression, Refusal> {
        let test = match name {
            "contains" => TextTest::Contains,
            "startswith" => TextTest::Begins,
            "endswith" => TextTest::Ends,
            _ => return self.service_function(name),
        };
        self.mark('(')?;
        let of = self.primary()?;
        self.mark(',')?;
        let with = self.primary()?;
        self.mark(')')?;
        Ok(Expression::Text(test, Box::new(of), Box::new(with)))
    }

    /// `Microsoft.Dynamics.CRM.In(PropertyName='a',PropertyValues=['1','2'])` and its kin.
    fn service_function(&mut self, name: &str) -> Result<Expression, Refusal> {
        let known = name.strip_prefix("Microsoft.Dynamics.CRM.");
        let Some(short) = known.filter(|short| FUNCTIONS.contains(short)) else {
            let message = format!(
                "An unknown function with name '{name}' was found. This may also be a function import \
                 or a key lookup on a navigation property, which is not allowed."
            );
            return Err(Refusal::bad("0x80060888", message));
        };
        let (property, values) = self.arguments()?;
        let path = || Box::new(Expression::Path(property.split('/').map(str::to_owned).collect()));
        let found = match short {
            "In" | "NotIn" => {
                Expression::In(path(), values.into_iter().map(Operand::Text).collect())
            }
            "ContainValues" | "DoesNotContainValues" => {
                let numbers: Result<_, _> = values.iter().map(|text| text.parse::<i32>()).collect();
                Expression::Holds(path(), numbers.map_err(|_| self.wrong())?)
            }
            _ => {
                let [low, high] = values.as_slice() else { return Err(self.wrong()) };
                let bound = |op, text: &String| {
                    Expression::compare(op, *path(), Expression::Value(Operand::Text(text.clone())))
                };
                Expression::And(vec![bound(Comparison::Ge, low), bound(Comparison::Le, high)])
            }
        };
        Ok(if short.contains("Not") { found.negated() } else { found })
    }

    /// The property and the values of a service function, in either order.
    fn arguments(&mut self) -> Result<(String, Vec<String>), Refusal> {
        let (mut property, mut values) = (None, Vec::new());
        self.mark('(')?;
        loop {
            let Some(Token::Word(name)) = self.next() else { return Err(self.wrong()) };
            self.mark('=')?;
            match name.as_str() {
                "PropertyName" => property = self.texts()?.into_iter().next(),
                "PropertyValues" => values = self.texts()?,
                _ => return Err(self.wrong()),
            }
            if !self.take(',') {
                break;
            }
        }
        self.mark(')')?;
        property.map(|property| (property, values)).ok_or_else(|| self.wrong())
    }

    /// A text or a list of texts, or an alias of one.
    fn texts(&mut self) -> Result<Vec<String>, Refusal> {
        match self.next() {
            Some(Token::Text(text)) => Ok(vec![text]),
            Some(Token::Mark('[')) => self.list(),
            Some(Token::Word(name)) if name.starts_with('@') => {
                let text = self.aliases.get(&name).ok_or_else(|| self.wrong())?;
                let mut inner = Reader {
                    text,
                    tokens: tokens(text)?,
                    at: 0,
                    depth: 0,
                    aliases: &Aliases::new(),
                };
                inner.texts()
            }
            _ => Err(self.wrong()),
        }
    }

    fn list(&mut self) -> Result<Vec<String>, Refusal> {
        let mut values = Vec::new();
        if self.take(']') {
            return Ok(values);
        }
        loop {
            match self.next() {
                Some(Token::Text(text) | Token::Word(text)) => values.push(text),
                _ => return Err(self.wrong()),
            }
            if self.take(']') {
                return Ok(values);
            }
            self.mark(',')?;
        }
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(next)) if next == word);
        self.at += usize::from(found);
        found
    }

    fn peek(&self, mark: char) -> bool {
        self.tokens.get(self.at) == Some(&Token::Mark(mark))
    }

    fn take(&mut self, mark: char) -> bool {
        let found = self.peek(mark);
        self.at += usize::from(found);
        found
    }

    fn mark(&mut self, mark: char) -> Result<(), Refusal> {
        if self.take(mark) { Ok(()) } else { Err(self.wrong()) }
    }

    fn wrong(&self) -> Refusal {
        let message = format!("Syntax error at term {} in '{}'.", self.at, self.text);
        Refusal::bad("0x80060888", message)
    }
}

fn too_deep() -> Refusal {
    let message = "The node count limit has been exceeded: the expression is nested too deeply.";
    Refusal::bad("0x80060888", message)
}

const FUNCTIONS: [&str; 6] =
    ["In", "NotIn", "ContainValues", "DoesNotContainValues", "Between", "NotBetween"];

fn comparison(word: &str) -> Option<Comparison> {
    match word {
        "eq" => Some(Comparison::Eq),
        "ne" => Some(Comparison::Ne),
        "gt" => Some(Comparison::Gt),
        "ge" => Some(Comparison::Ge),
        "lt" => Some(Comparison::Lt),
        "le" => Some(Comparison::Le),
        _ => None,
    }
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

#[cfg(test)]
mod tests;
