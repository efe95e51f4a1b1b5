//! `GET /set?sql=SELECT …`: the service's read-only SQL, as a plan for the FetchXML engine. Offered are
//! columns, `COUNT SUM MIN MAX AVG`, `DISTINCT`, `TOP`, `INNER` and `LEFT JOIN`, `WHERE`, `GROUP BY` and
//! `ORDER BY`; everything else is refused (observed in the public Python client).

mod lex;

use lex::{Token, tokens};

use super::aggregate::Function;
use super::fetch::{Attribute, Condition, Fetch, Filter, Link, Node, Order};
use crate::emulator::dataverse::refusal::Refusal;

/// How deep conditions may be nested.
const DEEPEST: usize = 50;

/// What may follow a table's name and is no alias.
const NEXT: [&str; 8] = ["where", "order", "group", "inner", "left", "join", "on", "having"];

/// The most tables that may be joined.
const MOST_JOINS: usize = 15;

/// Reads a statement.
pub fn read(text: &str) -> Result<Fetch, Refusal> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0, depth: 0, root: String::new() };
    reader.select()
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// The alias of the table after FROM, to tell its columns from those of joined ones.
    root: String,
}

/// A column as written: the alias before the point, and its name.
struct Name {
    table: Option<String>,
    column: String,
}

/// A column of the answer, and the alias of its table.
struct Chosen {
    table: Option<String>,
    attribute: Attribute,
}

impl Reader {
    fn select(&mut self) -> Result<Fetch, Refusal> {
        self.expect("select")?;
        let mut fetch = Fetch { distinct: self.keyword("distinct"), ..Fetch::default() };
        if self.keyword("top") {
            let bracket = self.mark("(");
            fetch.top = Some(self.number()?);
            if bracket {
                self.expect_mark(")")?;
            }
        }
        let mut chosen = vec![self.chosen()?];
        while self.mark(",") {
            chosen.push(self.chosen()?);
        }
        self.expect("from")?;
        fetch.root.table = self.word()?;
        self.root = self.alias()?.unwrap_or_else(|| fetch.root.table.clone());
        self.joins(&mut fetch.root)?;
        if self.keyword("where") {
            fetch.root.filters.push(self.either()?);
        }
        let groups = if self.keyword("group") { self.groups()? } else { Vec::new() };
        fetch.aggregate =
            !groups.is_empty() || chosen.iter().any(|one| one.attribute.function.is_some());
        for one in chosen {
            self.place(&mut fetch, one)?;
        }
        if self.keyword("order") {
            self.orders(&mut fetch)?;
        }
        if self.at < self.tokens.len() { Err(self.wrong()) } else { Ok(fetch) }
    }

    /// Puts a column of the answer at its table.
    fn place(&self, fetch: &mut Fetch, mut one: Chosen) -> Result<(), Refusal> {
        if fetch.aggregate {
            one.attribute.group = one.attribute.function.is_none();
            let name = one.attribute.name.clone();
            one.attribute.alias.get_or_insert(name);
        }
        let table = one.table.filter(|table| *table != self.root);
        let node = match &table {
            None => Some(&mut fetch.root),
            Some(alias) => find(&mut fetch.root, alias),
        };
        node.ok_or_else(|| self.wrong())?.attributes.push(one.attribute);
        Ok(())
    }

    fn chosen(&mut self) -> Result<Chosen, Refusal> {
        let at = self.at;
        let word = self.word()?;
        let chosen = if self.mark("(") {
            self.computed(&word)?
        } else {
            self.at = at;
            let name = self.name()?;
            let attribute = Attribute { name: name.column, ..Attribute::default() };
            Chosen { table: name.table, attribute }
        };
        let alias = if self.keyword("as") { Some(self.word()?) } else { None };
        let attribute = Attribute { alias: alias.or(chosen.attribute.alias), ..chosen.attribute };
        Ok(Chosen { attribute, ..chosen })
    }

    /// What follows `COUNT(` and its kin.
    fn computed(&mut self, word: &str) -> Result<Chosen, Refusal> {
        let word = word.to_ascii_lowercase();
        let all = self.mark("*");
        let distinct = !all && self.keyword("distinct");
        let function = match (word.as_str(), all, distinct) {
            ("count", true, _) => Function::Count,
            ("count", false, true) => Function::CountDistinct,
            ("count", false, false) => Function::CountColumn,
            ("sum", false, _) => Function::Sum,
            ("min", false, _) => Function::Min,
            ("max", false, _) => Function::Max,
            ("avg", false, _) => Function::Average,
            _ => return Err(self.wrong()),
        };
        let name = if all { Name { table: None, column: "*".to_owned() } } else { self.name()? };
        self.expect_mark(")")?;
        let alias = Some(word);
        let attribute = Attribute {
            name: name.column,
            function: Some(function),
            alias,
            ..Attribute::default()
        };
        Ok(Chosen { table: name.table, attribute })
    }

    fn joins(&mut self, root: &mut Node) -> Result<(), Refusal> {
        for _ in 0..=MOST_JOINS {
            let outer = if self.keyword("left") {
                self.keyword("outer");
                self.expect("join")?;
                true
            } else if self.keyword("inner") {
                self.expect("join")?;
                false
            } else if self.keyword("join") {
                false
            } else {
                return Ok(());
            };
            let table = self.word()?;
            let alias = self.alias()?.unwrap_or_else(|| table.clone());
            self.expect("on")?;
            let left = self.name()?;
            self.expect_mark("=")?;
            let right = self.name()?;
            let (own, other) =
                if left.table.as_deref() == Some(&alias) { (left, right) } else { (right, left) };
            let node = Node { table, alias, ..Node::default() };
            let link = Link { node, from: own.column, to: other.column, outer, exists: false };
            let to = other.table.filter(|table| *table != self.root);
            let parent = match &to {
                None => Some(&mut *root),
                Some(alias) => find(root, alias),
            };
            parent.ok_or_else(|| self.wrong())?.links.push(link);
        }
        Err(invalid("there are too many joins"))
    }

    fn groups(&mut self) -> Result<Vec<Name>, Refusal> {
        self.expect("by")?;
        let mut names = vec![self.name()?];
        while self.mark(",") {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn orders(&mut self, fetch: &mut Fetch) -> Result<(), Refusal> {
        self.expect("by")?;
        loop {
            let name = self.name()?;
            let descending = self.keyword("desc");
            if !descending {
                self.keyword("asc");
            }
            let table = name.table.filter(|table| *table != self.root);
            fetch.root.orders.push(Order { name: name.column, table, descending });
            if !self.mark(",") {
                return Ok(());
            }
        }
    }

    fn either(&mut self) -> Result<Filter, Refusal> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(invalid("the conditions are nested too deeply"));
        }
        let mut parts = vec![self.both()?];
        while self.keyword("or") {
            parts.push(self.both()?);
        }
        self.depth -= 1;
        Ok(Filter::Or(parts))
    }

    fn both(&mut self) -> Result<Filter, Refusal> {
        let mut parts = vec![self.one()?];
        while self.keyword("and") {
            parts.push(self.one()?);
        }
        Ok(Filter::And(parts))
    }

    fn one(&mut self) -> Result<Filter, Refusal> {
        let mut negated = false;
        while self.keyword("not") {
            negated = !negated;
        }
        let found = if self.mark("(") {
            let inner = self.either()?;
            self.expect_mark(")")?;
            inner
        } else {
            self.condition()?
        };
        Ok(if negated { Filter::Not(Box::new(found)) } else { found })
    }

    fn condition(&mut self) -> Result<Filter, Refusal> {
        let name = self.name()?;
        let (operator, values) = self.operator()?;
        let table = name.table.filter(|table| *table != self.root);
        let column = name.column;
        let condition = |operator: &str, values| {
            let (table, column, operator) = (table.clone(), column.clone(), operator.to_owned());
            Filter::Condition(Condition { table, column, operator, values, value_of: None })
        };
        let found = condition(operator, values);
        // in SQL a null column is neither equal nor unequal to anything
        if operator.starts_with("not-") && operator != "not-null" || operator == "ne" {
            return Ok(Filter::And(vec![found, condition("not-null", Vec::new())]));
        }
        Ok(found)
    }

    /// An operator under its FetchXML name, and its values.
    fn operator(&mut self) -> Result<(&'static str, Vec<String>), Refusal> {
        let marks = [
            ("=", "eq"),
            ("<>", "ne"),
            ("!=", "ne"),
            (">=", "ge"),
            ("<=", "le"),
            (">", "gt"),
            ("<", "lt"),
        ];
        for (mark, name) in marks {
            if self.mark(mark) {
                return Ok((name, vec![self.value()?]));
            }
        }
        if self.keyword("is") {
            let negated = self.keyword("not");
            self.expect("null")?;
            return Ok((if negated { "not-null" } else { "null" }, Vec::new()));
        }
        let negated = self.keyword("not");
        let pick = |plain, not| if negated { not } else { plain };
        if self.keyword("like") {
            return Ok((pick("like", "not-like"), vec![self.value()?]));
        }
        if self.keyword("between") {
            let low = self.value()?;
            self.expect("and")?;
            return Ok((pick("between", "not-between"), vec![low, self.value()?]));
        }
        self.expect("in")?;
        self.expect_mark("(")?;
        let mut values = vec![self.value()?];
        while self.mark(",") {
            values.push(self.value()?);
        }
        self.expect_mark(")")?;
        Ok((pick("in", "not-in"), values))
    }

    fn value(&mut self) -> Result<String, Refusal> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text),
            Some(Token::Word(word))
                if word.starts_with(|first: char| "+-.0123456789".contains(first)) =>
            {
                Ok(word)
            }
            _ => Err(self.wrong()),
        }
    }

    fn name(&mut self) -> Result<Name, Refusal> {
        let word = self.word()?;
        Ok(match word.split_once('.') {
            Some((table, column)) => {
                Name { table: Some(table.to_owned()), column: column.to_owned() }
            }
            None => Name { table: None, column: word },
        })
    }

    /// The name that a table goes by in this statement.
    fn alias(&mut self) -> Result<Option<String>, Refusal> {
        if self.keyword("as") {
            return self.word().map(Some);
        }
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) if !NEXT.contains(&word.to_ascii_lowercase().as_str()) => {
                self.word().map(Some)
            }
            _ => Ok(None),
        }
    }

    fn word(&mut self) -> Result<String, Refusal> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word.to_ascii_lowercase()),
            _ => Err(self.wrong()),
        }
    }

    fn number(&mut self) -> Result<usize, Refusal> {
        self.word()?.parse().map_err(|_| self.wrong())
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.tokens.get(self.at),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(found);
        found
    }

    fn mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Mark(next)) if next == mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, keyword: &str) -> Result<(), Refusal> {
        if self.keyword(keyword) { Ok(()) } else { Err(self.wrong()) }
    }

    fn expect_mark(&mut self, mark: &str) -> Result<(), Refusal> {
        if self.mark(mark) { Ok(()) } else { Err(self.wrong()) }
    }

    fn wrong(&self) -> Refusal {
        invalid(&format!("it cannot be understood at word {}", self.at))
    }
}

/// The table of an alias among those joined so far.
fn find<'a>(node: &'a mut Node, alias: &str) -> Option<&'a mut Node> {
    for link in &mut node.links {
        if link.node.alias == alias {
            return Some(&mut link.node);
        }
        if let Some(found) = find(&mut link.node, alias) {
            return Some(found);
        }
    }
    None
}

fn invalid(what: &str) -> Refusal {
    Refusal::bad("0x80040203", format!("The SQL statement is not supported: {what}."))
}

#[cfg(test)]
mod tests;
