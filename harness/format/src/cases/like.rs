//! `{like: PART, set: {PATH: VALUE}}`: a part with some of its fields changed.

use crate::cases::scope::Scope;
use crate::cases::{CaseError, Problem};
use netproof_api::source::Span;
use netproof_api::yaml::{Key, MAX_DEPTH, Node, Style, Value};

/// A part, and what is changed in it.
pub struct Like<'a> {
    base: &'a Node,
    span: Span,
    set: &'a [(Key, Node)],
}

/// Reads a mapping whose placeholders are filled in; `None` if it is an ordinary one.
pub fn read<'a>(
    entries: &'a [(Key, Node)],
    span: Span,
    scope: &'a Scope,
) -> Result<Option<Like<'a>>, CaseError> {
    let Some((_, like)) = entries.iter().find(|(key, _)| key.name == "like") else {
        return Ok(None);
    };
    let help = "write `like: PART`, and beside it what differs: `set: {spec.ingress[0].ports: []}`";
    if let Some((key, _)) = entries.iter().find(|(key, _)| !["like", "set"].contains(&key.name.as_str())) {
        return Err(Problem::new(key.span, format!("`{}` stands beside `like`", key.name), help));
    }
    let base = match &like.value {
        Value::String(name) => scope.find(name, like.span)?,
        _ => like,
    };
    if !matches!(base.value, Value::Mapping(_)) {
        let message = format!("`like` names a mapping, and this is {}", base.describe());
        return Err(Problem::new(like.span, message, help));
    }
    let set = match entries.iter().find(|(key, _)| key.name == "set") {
        None => &[][..],
        Some((_, Node { value: Value::Mapping(set), .. })) => set,
        Some((_, node)) => {
            let message = format!("a mapping of paths is wanted here, not {}", node.describe());
            return Err(Problem::new(node.span, message, help));
        }
    };
    Ok(Some(Like { base, span, set }))
}

impl Like<'_> {
    /// The changed copy, which stands where it is asked for.
    pub fn made(self, copy: impl FnOnce(&Node) -> Result<Node, CaseError>) -> Result<Node, CaseError> {
        let mut made = copy(self.base)?;
        for (path, value) in self.set {
            set(&mut made, path, value)?;
        }
        Ok(Node { span: self.span, style: Style::Flow, ..made })
    }
}

/// Sets a field, or removes it if the value is null. Mappings that are not there yet are made.
fn set(root: &mut Node, path: &Key, value: &Node) -> Result<(), CaseError> {
    let segments = segments(path)?;
    let Some((last, above)) = segments.split_last() else {
        return Err(not_a_path(path));
    };
    let mut node = root;
    for segment in above {
        node = match segment {
            Segment::Field(name) => field(node, name, path)?,
            Segment::Index(index) => item(node, *index, path)?,
        };
    }
    match last {
        Segment::Index(index) => {
            if value.is_null() {
                let help = "set the whole list: `set: {spec.ingress: [...]}`";
                return Err(Problem::new(path.span, "an item of a list cannot be removed", help));
            }
            *item(node, *index, path)? = value.clone();
        }
        Segment::Field(name) if value.is_null() => {
            fields(node, path)?.retain(|(key, _)| key.name != *name);
        }
        Segment::Field(name) => *field(node, name, path)? = value.clone(),
    }
    Ok(())
}

enum Segment<'a> {
    Field(&'a str),
    Index(usize),
}

/// `spec.ingress[0].from`, taken apart.
fn segments(path: &Key) -> Result<Vec<Segment<'_>>, CaseError> {
    let mut segments = Vec::new();
    for part in path.name.split('.') {
        let mut pieces = part.split('[');
        match pieces.next() {
            Some(name) if !name.is_empty() && !name.contains(']') => segments.push(Segment::Field(name)),
            _ => return Err(not_a_path(path)),
        }
        for piece in pieces {
            let index = piece.strip_suffix(']').and_then(|index| index.parse().ok());
            segments.push(Segment::Index(index.ok_or_else(|| not_a_path(path))?));
        }
    }
    if segments.len() > MAX_DEPTH {
        return Err(not_a_path(path));
    }
    Ok(segments)
}

fn not_a_path(path: &Key) -> CaseError {
    let message = format!("`{}` is not the path of a field", path.name);
    Problem::new(path.span, message, "write it as in `spec.ingress[0].from`")
}

/// The fields of a mapping; of nothing, a new one.
fn fields<'a>(node: &'a mut Node, path: &Key) -> Result<&'a mut Vec<(Key, Node)>, CaseError> {
    if node.is_null() {
        node.value = Value::Mapping(Vec::new());
    }
    let described = node.describe().into_owned();
    match &mut node.value {
        Value::Mapping(entries) => Ok(entries),
        _ => {
            let message = format!("`{}` asks {described} for a field", path.name);
            Err(Problem::new(path.span, message, "items of a list have numbers, as in `ingress[0]`"))
        }
    }
}

fn field<'a>(node: &'a mut Node, name: &str, path: &Key) -> Result<&'a mut Node, CaseError> {
    let entries = fields(node, path)?;
    let at = match entries.iter().position(|(key, _)| key.name == name) {
        Some(at) => at,
        None => {
            let key = Key { name: name.to_owned(), span: path.span };
            entries.push((key, Node { value: Value::Null, span: path.span, style: Style::Flow }));
            entries.len() - 1
        }
    };
    Ok(&mut entries[at].1)
}

fn item<'a>(node: &'a mut Node, index: usize, path: &Key) -> Result<&'a mut Node, CaseError> {
    let items = match &mut node.value {
        Value::Sequence(items) => items.as_mut_slice(),
        _ => &mut [],
    };
    let count = items.len();
    items.get_mut(index).ok_or_else(|| {
        let message = format!("`{}`: there is no item {index}, of {count}", path.name);
        Problem::new(path.span, message, "the first item is 0; set the whole list to make it longer")
    })
}
