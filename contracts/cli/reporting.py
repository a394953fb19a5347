"""The options and streams of every verb that judges something: reports, waivers, selection, and what CI reads.

@report_options                     adds --report, --fail-on, --select, --ignore, --waivers; passes `options`
def verb(..., options):
    with reporting(options) as run:
        run.add(result)             as often as there is a result
    return run.status
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TextIO

import click

from contracts.checker import Result
from contracts.cli.run import drop_output
from contracts.config.discovery import find_config_file, read_text
from contracts.errors import BadInput, Exit, KitError
from contracts.fixtures.corpus import is_case, pointer_in_case
from contracts.model.did_you_mean import nearest
from contracts.model.secrets import mask
from contracts.model.violation import Rule, Severity, covers, printable
from contracts.reports import FORMATS, Report, make_report
from contracts.rules.registry import load_contract
from contracts.verdict.policy import Policy, Tally, Verdict

if TYPE_CHECKING:  # imported where needed: the start of `contracts check` is counted in milliseconds
    from contracts.config.values import Config
    from contracts.verdict.source_lines import SourceText
    from contracts.verdict.waivers import WaiverUse

_MOST_FIXTURE_BYTES: Final = 1 << 20  # sixteen payloads of the largest size; lines of more are not looked up

_OPTIONS: Final = (
    click.option(
        "--report",
        "reports",
        multiple=True,
        metavar="FORMAT[=PATH]",
        help=f"Write a report ({', '.join(FORMATS)}) to PATH, or to standard output; repeatable."
        " Text goes to standard output unless another format does.",
    ),
    click.option(
        "--fail-on",
        type=click.Choice(["error", "warning"]),
        help="The least severity that fails the run.  [default: error]",
    ),
    click.option(
        "--select",
        multiple=True,
        metavar="RULE",
        help="Report this rule only, or a family: 'boundary/*', '*/required'; repeatable.",
    ),
    click.option(
        "--ignore", multiple=True, metavar="RULE", help="Do not report this rule, or family of rules; repeatable."
    ),
    click.option(
        "--waivers",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="TOML file of findings that are waived until a date; see `contracts explain RULE --waiver`.",
    ),
)


class ReportOptions(NamedTuple):
    """The options of a run and its reports, completed by the configuration file."""

    reports: tuple[str, ...]
    fail_on: Severity
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    waivers: Path | None
    configured: Config | None
    """The configuration file; None where there is none."""

    @property
    def config(self) -> Config:
        """The configuration file; without one, an empty `Config`."""
        if self.configured is not None:
            return self.configured
        from contracts.config.values import Config

        return Config()


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command; it gets them as one keyword argument, `options`: a `ReportOptions`."""

    @functools.wraps(command)
    def with_options(
        *arguments: Any,
        reports: tuple[str, ...],
        fail_on: str | None,
        select: tuple[str, ...],
        ignore: tuple[str, ...],
        waivers: Path | None,
        **others: Any,
    ) -> Any:
        flags = ReportOptions(reports, Severity(fail_on or Severity.ERROR), select, ignore, waivers, None)
        return command(*arguments, options=_completed(flags, fail_on), **others)

    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options


def _completed(flags: ReportOptions, fail_on: str | None) -> ReportOptions:
    """Fill what no flag sets from the configuration file, where there is one."""
    try:
        path = find_config_file(Path.cwd())
    except FileNotFoundError:  # the working directory was deleted
        return flags
    if path is None:
        return flags
    from contracts.config.values import read_config

    config = read_config(path, os.environ)
    return ReportOptions(
        reports=flags.reports or tuple(_resolved(config, each) for each in config.reports),
        fail_on=Severity(fail_on or config.fail_on or Severity.ERROR),
        select=flags.select or config.select,
        ignore=flags.ignore or config.ignore,
        waivers=flags.waivers or (config.resolve(config.waivers) if config.waivers else None),
        configured=config,
    )


def _resolved(config: Config, report: str) -> str:
    name, equals, path = report.partition("=")
    return f"{name}={config.resolve(path)}" if equals else report


class _Output:
    """One report and where it goes. An error of that stream ends this report only, and leaves no half-written file.

    `opened` holds what has to be closed; it is empty for a standard stream.
    """

    def __init__(self, name: str, path: str | None, stream: TextIO, opened: ExitStack) -> None:
        self._where = f"the {name} report to {printable(path) if path else _STREAMS[stream is sys.stderr]}"
        self._stream, self._opened = stream, opened
        self._error: BaseException | None = None
        self.report: Report
        with self._guarded():
            self.report = make_report(name, stream)

    @property
    def is_stdout(self) -> bool:
        return self._stream is sys.stdout

    def add(self, verdict: Verdict) -> None:
        if self._error is None:
            with self._guarded():
                self.report.add(verdict)

    def close(self, tally: Tally) -> None:
        try:
            if self._error is None:
                with self._guarded():
                    self.report.close(tally)
                    self._stream.flush()
                    self._opened.close()
        finally:
            if self._error is not None:
                with suppress(Exception):
                    self._opened.__exit__(type(self._error), self._error, None)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._error = error
            if not isinstance(error, OSError):
                raise
            if self.is_stdout:
                drop_output()
                if isinstance(error, BrokenPipeError):
                    raise  # its reader has gone, which is nobody's fault
            raise BadInput(f"cannot write {self._where}: {error.strerror or error}") from None


_STREAMS: Final = ("standard output", "standard error")


class Reporting:
    """A run being reported. `human` is where text for people goes: standard error while a machine reads the other."""

    def __init__(self, policy: Policy, outputs: list[_Output], human: TextIO, use: WaiverUse | None) -> None:
        self._policy, self._outputs, self._use = policy, outputs, use
        self.human = human
        self.tally = Tally(policy.fail_on)

    def add(self, result: Result, *, is_payload: bool = True) -> None:
        """Judge one result, count it, and report it."""
        text = _fixture_text(result) if result.violations else None
        verdict = self._policy.judge(result, text, is_payload=is_payload)
        self.tally.add(verdict)
        if self._use is not None:
            self._use.add(verdict)
        for output in self._outputs:
            output.add(verdict)

    @property
    def needs_passes(self) -> bool:
        """Whether a report, or the use of waivers, needs each payload; if not, those that pass are only counted."""
        return self._use is not None or any(output.report.needs_passes for output in self._outputs)

    def passed(self, payloads: int) -> None:
        """Count so many payloads that break no rule."""
        self.tally.payloads += payloads

    @property
    def status(self) -> Exit:
        """BROKEN where anything failed the run, otherwise OK; final once the run has ended."""
        return Exit.BROKEN if self.tally.broken else Exit.OK

    def close(self) -> None:
        """End every report, standard output first; raise the first error once all of them have ended."""
        failures: list[BaseException] = []
        for output in sorted(self._outputs, key=lambda each: not each.is_stdout):
            try:
                output.close(self.tally)
            except Exception as error:  # noqa: BLE001 - the other reports must be whole
                failures.append(error)
                self.tally.error = self.tally.error or _reason(error)
        if failures:
            raise failures[0]


@contextmanager
def reporting(options: ReportOptions, rules: Collection[str] = ()) -> Iterator[Reporting]:
    """Open the reports of a run; when it ends, judge its waivers and close them.

    `rules` are those that the run checks beside those of its contracts. Any exception raised inside, also by
    a signal, ends the reports with what was judged and the reason, and is raised again.

    Raises:
        BadInput: unknown rule, format or waiver entry, or a file that cannot be read or written.
    """
    known = _known_rules() if options.select or options.ignore or options.waivers else {}
    for pattern in (*options.select, *options.ignore):
        _require_known(pattern, known)
    policy, use = Policy(options.fail_on, options.select, options.ignore), None
    if options.waivers is not None:
        policy, use = _with_waivers(policy, options.waivers, known)
    outputs, human = _open_reports(options.reports)
    run = Reporting(policy, outputs, human, use)
    try:
        with _terminated_like_interrupted():
            yield run
            if use is not None and options.waivers is not None:
                checked = {rule for name in use.contracts for rule in load_contract(name).rules} | set(rules)
                for result in use.results(options.waivers, checked):
                    run.add(result, is_payload=False)
    except BaseException as error:
        run.tally.error = _reason(error)
        with suppress(Exception):
            run.close()
        raise
    run.close()


def _reason(error: BaseException) -> str:
    """Return why a run did not finish, printable and without credentials."""
    if isinstance(error, KitError | click.ClickException):
        return "\n".join(printable(line) for line in mask(str(error)).splitlines())
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted before everything was checked"
    if isinstance(error, BrokenPipeError):
        return "the reader of standard output has gone before everything was checked"
    return f"stopped by a defect of contracts ({type(error).__name__}) before everything was checked"


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM, by which CI cancels a job, end the run as Ctrl-C does, so that reports are whole."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _known_rules() -> Mapping[str, Rule]:
    from contracts.observe.observation import known_rules

    return known_rules()


def _require_known(pattern: str, known: Collection[str]) -> None:
    if any(covers(pattern, rule) for rule in known):
        return
    families = {f"{rule.split('/', 1)[0]}/*" for rule in known} | {f"*/{rule.split('/', 1)[1]}" for rule in known}
    near = nearest(pattern, families if "*" in pattern else known)
    raise BadInput(
        f"no rule {pattern!r}"
        + (f"; did you mean {near!r}?" if near else "")
        + "\n  contracts show SUBJECT lists the rules of a contract; 'boundary/*' and '*/required' are families"
    )


def _with_waivers(policy: Policy, path: Path, known: Collection[str]) -> tuple[Policy, WaiverUse]:
    from datetime import UTC, datetime

    from contracts.verdict.waivers import WaiverUse, parse_waivers

    today = datetime.now(UTC).date()
    waivers = parse_waivers(read_text(path), where=str(path), rules=known)
    holding = tuple(waiver for waiver in waivers if waiver.expires >= today)
    return Policy(policy.fail_on, policy.select, policy.ignore, holding), WaiverUse(waivers, policy, today)


def _open_reports(reports: tuple[str, ...]) -> tuple[list[_Output], TextIO]:
    """Open each report on its stream. One machine format may have standard output; otherwise text goes there."""
    wanted = [_parse_report(report) for report in reports]
    machines = [name for name, path in wanted if path is None and name != "text"]
    if len(machines) > 1:
        raise click.UsageError(
            f"standard output carries one report, got {len(machines)}: {', '.join(machines)}\n"
            f"  give all but one a file, for example: --report {machines[-1]}=contracts.{machines[-1]}"
        )
    if not machines and ("text", None) not in wanted:
        wanted.insert(0, ("text", None))
    paths = [os.path.realpath(path) for _, path in wanted if path is not None]
    for each in paths:
        if paths.count(each) > 1 and not _is_device(each):
            raise click.UsageError(f"two reports go to {printable(each)}\n  give each a separate file")
    human = sys.stderr if machines else sys.stdout
    outputs: list[_Output] = []
    try:
        for name, path in wanted:
            outputs.append(_output(name, path, human if name == "text" else sys.stdout))
        outputs += _asked_by_ci({name for name, _ in wanted})
    except BadInput as error:
        tally = Tally()
        tally.error = _reason(error)
        for output in outputs:
            with suppress(KitError, OSError):
                output.close(tally)
        raise
    return outputs, human


def _parse_report(report: str) -> tuple[str, str | None]:
    name, _, path = report.partition("=")
    if name not in FORMATS:
        near = nearest(name, FORMATS)
        raise BadInput(
            f"no report format {name!r}"
            + (f"; did you mean {near!r}?" if near else "")
            + f"\n  known: {', '.join(FORMATS)}"
        )
    return name, None if path in ("", "-") else path


def _asked_by_ci(names: Collection[str]) -> Iterator[_Output]:
    """Give the runners of GitHub and Gitea Actions annotations and a summary, unless --report names them."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    if "github" not in names:
        yield _output("github", None, sys.stderr)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and "markdown" not in names:
        try:
            yield _output("markdown", summary, sys.stderr, "a")
        except BadInput as error:  # nobody asked for it: no reason to fail
            click.echo(f"contracts: {error}", err=True)


def _output(name: str, path: str | None, stream: TextIO, mode: Literal["w", "a"] = "w") -> _Output:
    """Start a report in the file at `path`, or on `stream` where there is none."""
    opened = ExitStack()
    try:
        if path and mode == "w":
            from contracts.output import open_output

            Path(path).parent.mkdir(parents=True, exist_ok=True)
            file = opened.enter_context(open_output(path, replace=True, what=f"the {name} report"))
            stream = TextIOWrapper(file, "utf-8", errors="backslashreplace")
            opened.callback(_detach, stream)
        elif path:
            file = opened.enter_context(Path(path).open("ab"))  # noqa: SIM115
            stream = opened.enter_context(TextIOWrapper(file, "utf-8", errors="backslashreplace"))
    except OSError as error:
        raise BadInput(f"cannot write the {name} report to {printable(path or '')}: {error.strerror}") from None
    return _Output(name, path, stream, opened)


def _detach(text: TextIOWrapper) -> None:
    """Flush the text and leave the file open for `open_output`; close both where that fails."""
    try:
        text.detach()
    except OSError:
        with suppress(OSError):
            text.close()
        raise


def _is_device(path: str) -> bool:
    return Path(path).exists() and not Path(path).is_file()


def _fixture_text(result: Result) -> SourceText | None:
    """Read the file that a result is about, to find lines in it; a pipe cannot be read twice."""
    path = result.fixture
    if path is None or result.fixture_line is not None:
        return None
    try:
        if not path.is_file() or path.stat().st_size > _MOST_FIXTURE_BYTES:
            return None
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
    from contracts.verdict.source_lines import SourceText

    return SourceText(text, pointer_in_case(text) if is_case(path) else None)
