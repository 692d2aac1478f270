//! `for`: one case as it is written becomes one for each combination of what its variables run over.

use crate::cases::expand::Expander;
use crate::cases::scope::{Scope, check_name};
use crate::cases::{CaseError, Problem};
use netproof_api::suggest::suggestion;
use netproof_api::yaml::{Key, Node, Value};

/// The most variables of one case. (Seven of four values each are more cases than a table may have.)
const MAX_VARIABLES: usize = 8;

/// Calls `sink` with each case that one item of `cases` stands for, placeholders filled in, in the order of the
/// variables' values, the first variable slowest.
pub fn each(
    template: &Node,
    scope: &mut Scope,
    expander: &mut Expander,
    sink: &mut dyn FnMut(Node) -> Result<(), CaseError>,
) -> Result<(), CaseError> {
    let Value::Mapping(entries) = &template.value else {
        let message = format!("a case is a mapping, not {}", template.describe());
        return Err(Problem::new(template.span, message, "write `- name: ...` with `steps`"));
    };
    let variables = template.get("for");
    if let Some(variables) = variables.filter(|node| !matches!(node.value, Value::Mapping(_))) {
        let message = format!("`for` is a mapping of variables to lists, not {}", variables.describe());
        return Err(Problem::new(variables.span, message, "write `for: {direction: [ingress, egress]}`"));
    }
    let variables = variables.map(Node::entries).unwrap_or_default();
    if let Some((key, _)) = variables.get(MAX_VARIABLES) {
        let message = format!("a case has at most {MAX_VARIABLES} variables");
        return Err(Problem::new(key.span, message, "let one variable run over mappings of several fields"));
    }
    let fields = entries.iter().filter(|(key, _)| key.name != "for").cloned().collect();
    let template = Node { value: Value::Mapping(fields), ..template.clone() };
    let mut count = 0;
    let mut counted = |case: Node| {
        count += 1;
        sink(case)
    };
    turn(variables, &mut Vec::new(), &template, scope, expander, &mut counted)?;
    if count == 0 {
        let help =
            "let each variable run over at least one value, and one that comes `after` another over two";
        return Err(Problem::new(template.span, "this comes to no case at all", help));
    }
    Ok(())
}

/// A variable that has a value.
struct Running {
    name: String,
    /// What follows the value.
    rest: Vec<Node>,
}

/// Recursion is bounded by [`MAX_VARIABLES`].
fn turn(
    variables: &[(Key, Node)],
    running: &mut Vec<Running>,
    template: &Node,
    scope: &mut Scope,
    expander: &mut Expander,
    sink: &mut dyn FnMut(Node) -> Result<(), CaseError>,
) -> Result<(), CaseError> {
    let Some(((key, list), variables)) = variables.split_first() else {
        let mut case = expander.value(template, scope)?;
        // A name that is a part's stands in the case all the same: that is where a reader looks for it.
        if let (Value::Mapping(fields), Some(name)) = (&mut case.value, template.get("name")) {
            fields
                .iter_mut()
                .filter(|(key, _)| key.name == "name")
                .for_each(|(_, node)| node.span = name.span);
        }
        return sink(case);
    };
    check_name(key)?;
    let values = values(list, running, scope, expander)?;
    for (at, value) in values.iter().enumerate() {
        scope.bind(&key.name, value.clone());
        let rest = values.get(at + 1..).unwrap_or_default().to_vec();
        running.push(Running { name: key.name.clone(), rest });
        let result = turn(variables, running, template, scope, expander, sink);
        running.pop();
        scope.unbind();
        result?;
    }
    Ok(())
}

/// What a variable runs over: a list, or what comes `after` the value of an earlier variable in its list.
fn values(
    list: &Node,
    running: &[Running],
    scope: &Scope,
    expander: &mut Expander,
) -> Result<Vec<Node>, CaseError> {
    const HELP: &str = "write a list, the name of a part that is one (`$(peers)`), or `{after: VARIABLE}` for \
        the values of that variable that follow its own";
    let list = expander.value(list, scope)?;
    match list.value {
        Value::Sequence(values) => Ok(values),
        Value::Mapping(entries) => {
            let [(Key { name, .. }, Node { value: Value::String(earlier), span, .. })] = entries.as_slice()
            else {
                return Err(Problem::new(list.span, "a variable cannot run over this mapping", HELP));
            };
            if name != "after" {
                return Err(Problem::new(list.span, "a variable cannot run over this mapping", HELP));
            }
            running
                .iter()
                .find(|running| running.name == *earlier)
                .map(|running| running.rest.clone())
                .ok_or_else(|| {
                    let known: Vec<&str> = running.iter().map(|running| running.name.as_str()).collect();
                    let message = format!("`{earlier}` is no earlier variable of this case");
                    let help = if known.is_empty() { HELP.to_owned() } else { suggestion(earlier, &known) };
                    Problem::new(*span, message, help)
                })
        }
        _ => {
            let message = format!("a variable cannot run over {}", list.describe());
            Err(Problem::new(list.span, message, HELP))
        }
    }
}
