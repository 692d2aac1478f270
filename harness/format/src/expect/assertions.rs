//! What is expected of a flow, as it is written: each key of an expectation, and which of them belong
//! together.

use crate::expect::Reader;
use crate::refs::{self, PlaceName};
use crate::types::{ExpectSpec, PolicySeesSpec, VerdictSpec};
use netproof_api::source::Span;
use netproof_api::yaml::Spanned;
use netproof_documents::document::TextError;
use netproof_documents::unions::{OneOrMany, TextOr};
use netproof_model::flow::Source;
use netproof_model::{DecidedBy, Family, Rejection, Verdict};
use netproof_plan::{Baseline, Expected};

/// What is expected of a flow.
#[derive(Clone, Debug)]
pub struct Assertions {
    /// What must come of it.
    pub expected: WrittenExpected,
    /// Who must have decided.
    pub decided_by: Option<Spanned<DecidedBy>>,
    /// How a rejection must look.
    pub rejected_with: Option<Rejection>,
    /// The source address that the server must have seen.
    pub sees: Option<Spanned<PlaceName>>,
    /// The addresses that policy must have seen.
    pub policy_sees: Option<PolicyNames>,
    /// Who may answer.
    pub served_by: Option<Vec<Spanned<Source>>>,
    /// Whether all tries have one backend, and where that is written.
    pub sticky: Option<Span>,
    /// The nodes one of which chooses the backend.
    pub via: Option<Vec<Spanned<String>>>,
    /// What the name resolves to.
    pub dns: Option<Spanned<Vec<Spanned<PlaceName>>>>,
    /// Whether the connection is kept, and where that is written.
    pub keep: Option<Span>,
    /// What the flow does without policy.
    pub baseline: Option<Baseline>,
}

/// The addresses that policy must have seen, by name.
#[derive(Clone, Debug)]
pub struct PolicyNames {
    /// The source address.
    pub source: Option<Spanned<PlaceName>>,
    /// The destination address.
    pub destination: Option<Spanned<PlaceName>>,
}

/// What must come of a flow.
#[derive(Clone, Debug)]
pub enum WrittenExpected {
    /// The same whoever answers.
    Plain(Expected),
    /// By backend.
    PerBackend(Spanned<Vec<(Spanned<Source>, Verdict)>>),
}

impl WrittenExpected {
    /// Whether a denial is expected, of the flow or of a backend.
    fn is_denial(&self) -> bool {
        match self {
            WrittenExpected::Plain(Expected::All(Verdict::NameServerUnreachable)) => true,
            WrittenExpected::Plain(expected) => expected.is_denial(),
            WrittenExpected::PerBackend(verdicts) => verdicts.iter().any(|(_, verdict)| verdict.is_denial()),
        }
    }

    /// Whether the request is to arrive somewhere, and no answer to come back.
    fn is_no_answer(&self) -> bool {
        matches!(self, WrittenExpected::Plain(expected) if expected.is_no_answer())
    }

    /// Whether it is expected to connect, with a backend at least.
    fn connects(&self) -> bool {
        match self {
            WrittenExpected::Plain(expected) => *expected == Expected::All(Verdict::Allow),
            WrittenExpected::PerBackend(verdicts) => verdicts.iter().any(|(_, verdict)| !verdict.is_denial()),
        }
    }

    /// Whether it is expected to be allowed, whichever backend answers.
    fn is_allow(&self) -> bool {
        match self {
            WrittenExpected::Plain(expected) => expected.is_allow(),
            WrittenExpected::PerBackend(verdicts) => {
                verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Allow)
            }
        }
    }

    /// Whether it may be rejected as expected.
    fn may_be_rejected(&self) -> bool {
        matches!(self, WrittenExpected::Plain(Expected::All(Verdict::Deny) | Expected::All(Verdict::Reject)))
    }

    /// Whether a name is expected not to be resolved.
    fn resolves_nothing(&self) -> bool {
        matches!(
            self,
            WrittenExpected::Plain(Expected::All(Verdict::NameNotFound | Verdict::NameServerUnreachable))
        )
    }
}

impl Assertions {
    /// Of a cell of a matrix.
    pub fn plain(expected: Expected) -> Assertions {
        Assertions {
            expected: WrittenExpected::Plain(expected),
            decided_by: None,
            rejected_with: None,
            sees: None,
            policy_sees: None,
            served_by: None,
            sticky: None,
            via: None,
            dns: None,
            keep: None,
            baseline: None,
        }
    }

    /// Whether the flow need not reach anybody who serves its port.
    pub fn may_miss(&self) -> bool {
        // The proxy refuses what leads to nobody, too: no endpoint, no such port, no such service.
        let by_the_proxy = self.decided_by.as_ref().is_some_and(|it| it.value == DecidedBy::Service);
        self.baseline.is_some()
            || by_the_proxy
            || match &self.expected {
                WrittenExpected::Plain(Expected::All(verdict)) => verdict.is_outcome(),
                WrittenExpected::Plain(Expected::Observe) => true,
                WrittenExpected::Plain(Expected::PerBackend(_)) | WrittenExpected::PerBackend(_) => false,
            }
    }
}

impl Reader<'_> {
    /// What is expected; anything, if that cannot be read, or makes no sense.
    pub(super) fn assertions(&mut self, spec: &Spanned<ExpectSpec>) -> Assertions {
        let expected = self.expected(spec);
        self.assertions_for(spec, expected)
    }

    /// What is expected of each family, where the verdict says so: `{ipv4: allow, ipv6: deny}`.
    pub(super) fn assertions_by_family(
        &mut self,
        spec: &Spanned<ExpectSpec>,
    ) -> Option<Vec<(Family, Assertions)>> {
        let VerdictSpec::PerBackend(verdicts) = &spec.verdict.as_ref()?.value else { return None };
        let family = |name: &str| Family::ALL.into_iter().find(|family| family.to_string() == name);
        let verdicts: Option<Vec<(Family, Verdict)>> =
            verdicts.iter().map(|(name, verdict)| Some((family(name)?, Verdict::from(*verdict)))).collect();
        let verdicts = verdicts.filter(|verdicts| !verdicts.is_empty() && spec.outcome.is_none())?;
        let mut by_family = Vec::new();
        for (family, verdict) in verdicts {
            let assertions = self.assertions_for(spec, Some(WrittenExpected::Plain(verdict.into())));
            by_family.push((family, assertions));
        }
        Some(by_family)
    }

    fn assertions_for(
        &mut self,
        spec: &Spanned<ExpectSpec>,
        expected: Option<WrittenExpected>,
    ) -> Assertions {
        let namespace = self.namespace.to_owned();
        let address = |text: &str| refs::address_name(text, &namespace);
        let decided_by = self.spanned(&spec.decided_by, |text| refs::decided_by(text, &namespace));
        let sees = self.spanned(&spec.sees, address);
        let policy_sees = match spec.policy_sees.as_ref().map(|written| &written.value) {
            None => None,
            Some(TextOr::Text(node)) => {
                let source = Spanned { value: node.as_str().unwrap_or_default().to_owned(), span: node.span };
                Some(PolicyNames { source: self.spanned_one(&source, address), destination: None })
            }
            Some(TextOr::Fields(PolicySeesSpec { source, destination })) => {
                let [source, destination] = [source, destination].map(|it| self.spanned(it, address));
                Some(PolicyNames { source, destination })
            }
        };
        let served_by =
            spec.served_by.as_ref().map(|list| self.list(list, |text| refs::place(text, &namespace)));
        let via = spec.via.as_ref().map(|list| self.list(list, refs::node));
        let dns = spec.dns.as_ref().map(|list| Spanned {
            value: self.list(list, |text| refs::resolved_name(text, &namespace)),
            span: list.span,
        });
        let baseline = spec
            .baseline
            .as_ref()
            .map(|baseline| Baseline { outcome: baseline.outcome.into(), because: baseline.because.clone() });
        if let Some(expected) = &expected {
            self.check_company(spec, expected);
        }
        Assertions {
            expected: expected.unwrap_or(WrittenExpected::Plain(Expected::Observe)),
            decided_by,
            rejected_with: spec.rejected_with.as_ref().map(|kind| kind.value.into()),
            sees,
            policy_sees,
            served_by,
            sticky: spec.sticky.as_ref().filter(|sticky| sticky.value).map(|sticky| sticky.span),
            via,
            dns,
            keep: spec.connection.as_ref().map(|connection| connection.span),
            baseline,
        }
    }

    /// Reports keys that do not belong to what is expected, and those that say nothing.
    fn check_company(&mut self, spec: &Spanned<ExpectSpec>, expected: &WrittenExpected) {
        let (denial, connects) = (expected.is_denial(), expected.connects());
        let sticky = spec.sticky.as_ref().filter(|sticky| sticky.value).map(|sticky| sticky.span);
        let per_backend = matches!(expected, WrittenExpected::PerBackend(_));
        let allow = expected.is_allow();
        let decided_by =
            |word: &str| spec.decided_by.as_ref().filter(|it| it.value == word).map(|it| it.span);
        let checks = [
            (
                spec.baseline.as_ref().filter(|_| !denial).map(|it| it.span),
                "a `baseline` belongs to a denial",
                "leave it out: what is not denied is checked as it is",
            ),
            (
                spec.decided_by.as_ref().filter(|_| !denial && !allow).map(|it| it.span),
                "`decidedBy` belongs to what is denied or allowed",
                "leave it out: nobody decides about what becomes of this flow",
            ),
            (
                decided_by("default").filter(|_| denial),
                "nothing is ever denied by `default`: where no policy applies nothing is denied",
                "leave it out, or name who denies; what denies although no rule matched is `isolation`",
            ),
            (
                decided_by("isolation").filter(|_| allow),
                "nothing is ever allowed by `isolation`",
                "name the policy that allows, as in networkpolicy/NAME; where no policy isolates, write `default`",
            ),
            (
                decided_by("service").filter(|_| allow),
                "nothing is ever allowed by `service`: the proxy only refuses",
                "name the policy that allows, as in networkpolicy/NAME; where no policy isolates, write `default`",
            ),
            (
                spec.rejected_with.as_ref().filter(|_| !expected.may_be_rejected()).map(|it| it.span),
                "`rejectedWith` belongs to a rejection",
                "write `verdict: reject` (or `deny`) beside it, or leave it out",
            ),
            (
                spec.sees.as_ref().filter(|_| !connects && !expected.is_no_answer()).map(|it| it.span),
                "`sees` belongs to a flow that connects",
                "leave it out: a flow that does not connect is seen by no server",
            ),
            (
                spec.served_by.as_ref().filter(|_| !connects).map(|it| it.span),
                "`servedBy` belongs to a flow that connects",
                "leave it out: nobody answers a flow that does not connect",
            ),
            (
                sticky.filter(|_| !connects),
                "`sticky` belongs to a flow that connects",
                "leave it out: nobody answers a flow that does not connect",
            ),
            (
                sticky.filter(|_| per_backend),
                "a sticky flow reaches one backend, and has one verdict",
                "write one word at `verdict`, or leave out `sticky`",
            ),
            (
                sticky.filter(|_| spec.connection.is_some()),
                "`sticky` compares connections, and a kept one is the only one",
                "leave out one of the two",
            ),
            (
                spec.connection.as_ref().filter(|_| per_backend).map(|it| it.span),
                "a kept connection has one backend, and one verdict",
                "write one word at `verdict`, or leave out `connection`",
            ),
            (
                spec.dns.as_ref().filter(|_| expected.resolves_nothing()).map(|it| it.span),
                "`dns` belongs to a name that is resolved",
                "leave it out, or expect another outcome",
            ),
            (
                spec.served_by.as_ref().filter(|list| list.0.is_empty()).map(|it| it.span),
                "`servedBy` names nobody",
                "name a pod, or leave it out",
            ),
            (
                spec.via.as_ref().filter(|list| list.0.is_empty()).map(|it| it.span),
                "`via` names no node",
                "name one, as in node/node1, or leave it out",
            ),
            (
                spec.dns.as_ref().filter(|list| list.0.is_empty()).map(|it| it.span),
                "`dns` names no address",
                "name one, or write `outcome: name-not-found`",
            ),
            (
                spec.policy_sees.as_ref().filter(|it| is_empty(&it.value)).map(|it| it.span),
                "`policySees` names no address",
                "write the source, or {source: PLACE, destination: PLACE}",
            ),
            (
                spec.baseline.as_ref().filter(|it| it.because.trim().is_empty()).map(|it| it.span),
                "`because` is empty",
                "say why the flow does not connect without policy",
            ),
        ];
        for (span, message, help) in checks {
            if let Some(span) = span {
                self.report(span, message, help);
            }
        }
    }

    fn expected(&mut self, spec: &Spanned<ExpectSpec>) -> Option<WrittenExpected> {
        match (&spec.verdict, &spec.outcome) {
            (Some(verdict), None) => match &verdict.value {
                VerdictSpec::One(verdict) => Some(WrittenExpected::Plain(Verdict::from(*verdict).into())),
                VerdictSpec::PerBackend(verdicts) => {
                    if verdicts.is_empty() {
                        self.report(
                            verdict.span,
                            "the verdict is empty",
                            "name each backend, as in {pod/a: allow}, or each family, as in {ipv4: allow}",
                        );
                    }
                    let namespace = self.namespace.to_owned();
                    let each = verdicts
                        .iter()
                        .filter_map(|(place, verdict)| {
                            let place = self.spanned_one(place, |text| refs::place(text, &namespace))?;
                            Some((place, Verdict::from(*verdict)))
                        })
                        .collect();
                    Some(WrittenExpected::PerBackend(Spanned { value: each, span: verdict.span }))
                }
            },
            (None, Some(outcome)) => Some(WrittenExpected::Plain(Expected::All(outcome.value.into()))),
            (Some(_), Some(outcome)) => {
                let help = "keep `verdict` if policy decides, `outcome` if it does not";
                self.report(outcome.span, "`verdict` and `outcome` stand side by side", help);
                None
            }
            (None, None) => {
                let help = "add `verdict: allow`, `verdict: deny` or `outcome: refused`";
                self.report(spec.span, "the expectation does not say what is expected", help);
                None
            }
        }
    }

    fn list<T>(
        &mut self,
        list: &Spanned<OneOrMany<Spanned<String>>>,
        read: impl Fn(&str) -> Result<T, TextError>,
    ) -> Vec<Spanned<T>> {
        list.0.iter().filter_map(|text| self.spanned_one(text, &read)).collect()
    }

    fn spanned<T>(
        &mut self,
        text: &Option<Spanned<String>>,
        read: impl Fn(&str) -> Result<T, TextError>,
    ) -> Option<Spanned<T>> {
        text.as_ref().and_then(|text| self.spanned_one(text, read))
    }

    fn spanned_one<T>(
        &mut self,
        text: &Spanned<String>,
        read: impl Fn(&str) -> Result<T, TextError>,
    ) -> Option<Spanned<T>> {
        match read(&text.value) {
            Ok(value) => Some(Spanned { value, span: text.span }),
            Err((message, help)) => {
                self.report(text.span, message, help);
                None
            }
        }
    }
}

fn is_empty(policy_sees: &TextOr<PolicySeesSpec>) -> bool {
    matches!(policy_sees, TextOr::Fields(PolicySeesSpec { source: None, destination: None }))
}
