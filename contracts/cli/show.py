"""`contracts list`, `show` and `explain`: what the contracts say, for people."""

from __future__ import annotations

import click

from contracts.errors import BadInput
from contracts.registry import Contract, load_contract, subjects
from contracts.suggestion import nearest


@click.command("list")
def list_contracts() -> None:
    """List the contracts: subject, version, owner, and what the event says."""
    from contracts.cli.table import print_table

    contracts = [
        load_contract(f"{subject}@{version}") for subject, versions in subjects().items() for version in versions
    ]
    print_table(
        ("subject", "version", "owner", "rules", "says"),
        ((each.subject, each.version, each.owner, str(len(each.rules)), each.summary) for each in contracts),
    )


@click.command()
@click.argument("subject", metavar="SUBJECT[@VERSION]")
def show(subject: str) -> None:
    """Show one contract: the field table as the spec prints it, the rules, the decisions, the consumers."""
    from contracts.cli.table import print_table

    contract = load_contract(subject)
    click.echo(f"{contract.name}  ({contract.owner})\n{contract.summary}\n")
    print_table(("Field", "Type", "Notes"), ((each.path, each.type, each.notes) for each in contract.fields))
    click.echo("Rules (`contracts explain RULE` says more)")
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
def explain(rule: str, name: str | None) -> None:
    """Explain one RULE: what it expects, the spec's line or our decision, and a fixture that breaks it."""
    contracts = [load_contract(each) for each in ([name] if name else subjects())]
    having = [contract for contract in contracts if rule in contract.rules]
    if not having:
        near = nearest(rule, [known for contract in contracts for known in contract.rules])
        raise BadInput(
            f"no rule {rule!r}"
            + (f"; did you mean {near!r}?" if near else "")
            + "\n  contracts show SUBJECT lists the rules of a contract"
        )
    click.echo("\n\n".join(_explanation(contract, rule) for contract in having))


def _explanation(contract: Contract, name: str) -> str:
    from contracts.corpus import cases

    rule = contract.rules[name]
    lines = [f"{rule.id}  ({rule.severity}, {contract.name})", f"  expected  {rule.expected}"]
    if rule.spec:
        lines.append(f"  spec      line {rule.spec_line}: {rule.spec}")
    for decision in contract.decisions:
        if decision.point == rule.decision:
            lines += [f"  decision  {decision.point}: {decision.decision}", f"  because   {decision.reason}"]
    for case in cases(contract.name, "invalid", "warnings", "wire"):
        if rule.id in case.breaks:
            lines += [f"  example   {case.why}", f"            contracts check {case.path}"]
            break
    return "\n".join(lines)
