"""`contracts list`, `show` and `explain`: the contracts for people."""

from __future__ import annotations

from itertools import chain
from shlex import quote

import click

from contracts.errors import BadInput
from contracts.model.did_you_mean import nearest
from contracts.model.violation import Rule
from contracts.rules.registry import Contract, load_contract, subjects


@click.command("list")
def list_contracts() -> None:
    """List the contracts: subject, version, owner, number of rules and summary."""
    from contracts.cli.tables import print_table

    contracts = [
        load_contract(f"{subject}@{version}") for subject, versions in subjects().items() for version in versions
    ]
    print_table(
        ("subject", "version", "owner", "rules", "summary"),
        ((each.subject, each.version, each.owner, str(len(each.rules)), each.summary) for each in contracts),
    )


@click.command()
@click.argument("subject", metavar="SUBJECT[@VERSION]")
def show(subject: str) -> None:
    """Show one contract: the field table as the spec prints it, the rules, the decisions, the consumers."""
    from contracts.cli.tables import print_table

    contract = load_contract(subject)
    click.echo(f"{contract.name}  ({contract.owner})\n{contract.summary}\n")
    print_table(("Field", "Type", "Notes"), ((each.path, each.type, each.notes) for each in contract.fields))
    click.echo("Rules (details: `contracts explain RULE`)")
    print_table(
        ("rule", "severity", "expected"),
        ((each.id, each.severity, each.expected) for each in contract.rules.values()),
    )
    click.echo("Decisions on what the spec leaves open")
    for decision in contract.decisions:
        click.echo(f"  {decision.point}: {decision.decision}\n      because {decision.reason}")
    click.echo("\nConsumers, and the fields they rely on")
    for consumer in contract.consumers():
        click.echo(f"  {consumer.spec.strip(' •')}")
        for at, purpose in consumer.relies_on.items():
            click.echo(f"      {at} {purpose}")


@click.command()
@click.argument("rule")
@click.option("--contract", "name", metavar="SUBJECT[@VERSION]", help="Explain the rule of this contract only.")
@click.option("--waiver", is_flag=True, help="Print a ready entry for a file of waivers instead; add who and why.")
def explain(rule: str, name: str | None, *, waiver: bool) -> None:
    """Explain one RULE: what it expects, the spec's line or our decision, and a fixture that breaks it."""
    from contracts.observe.observation import known_rules

    contracts = [load_contract(each) for each in ([name] if name else subjects())]
    having = [contract for contract in contracts if rule in contract.rules]
    others = {} if name else known_rules()
    if not having and rule not in others:
        near = nearest(rule, [*others, *(known for contract in contracts for known in contract.rules)])
        raise BadInput(
            f"no rule {rule!r}"
            + (f"; did you mean {near!r}?" if near else "")
            + "\n  contracts show SUBJECT lists the rules of a contract"
        )
    if waiver:
        click.echo(_waiver(rule))
    else:
        click.echo("\n\n".join(_explanation(contract, rule) for contract in having) or _of_a_run(others[rule]))


def _waiver(rule: str) -> str:
    from datetime import UTC, datetime, timedelta

    expires = datetime.now(UTC).date() + timedelta(days=90)
    entry = f'[[waivers]]\nrule = "{rule}"\nreason = ""\nowner = ""\nexpires = {expires}'
    return f'{entry}\n# to narrow it down: pointer = "/…" for one place, source = "…" for one file'


def _of_a_run(rule: Rule) -> str:
    """Explain a rule that no contract has: on how an emitter behaves, or on the run itself."""
    from contracts.observe.observation import behaviour_rules

    lines = [f"{rule.id}  ({rule.severity})", f"  expected  {rule.expected}"]
    if rule.id in behaviour_rules():
        lines.append(f"  because   {behaviour_rules()[rule.id].why}")
    return "\n".join(lines)


def _explanation(contract: Contract, name: str) -> str:
    from contracts.fixtures.corpus import cases

    rule = contract.rules[name]
    lines = [f"{rule.id}  ({rule.severity}, {contract.name})", f"  expected  {rule.expected}"]
    if rule.spec:
        lines.append(f"  spec      line {rule.spec_line}: {rule.spec}")
    for decision in contract.decisions:
        if decision.point == rule.decision:
            lines += [f"  decision  {decision.point}: {decision.decision}", f"  because   {decision.reason}"]
    strict_json = (case for subject in subjects() for case in cases(load_contract(subject).name, "wire"))
    for case in chain(cases(contract.name, "invalid", "warnings"), strict_json):  # the latter holds for all contracts
        if rule.id in case.breaks:
            lines += [f"  example   {case.why}", f"            contracts check {quote(str(case.path))}"]
            break
    return "\n".join(lines)
