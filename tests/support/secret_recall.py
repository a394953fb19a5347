"""Measure what `boundary/secret` finds: `python -m tests.support.secret_recall` prints recall and false alarms.

A labelled set made for this project. Tokens are generated from prefix, alphabet and length with a fixed seed, so that
this repository holds no text that a scanner takes for a live secret.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import Final

from contracts.fixtures.corpus import cases
from contracts.model.json_pointer import strings
from contracts.model.secrets import may_be_secret

SEED: Final = 22
EACH: Final = 4
"""How many tokens are made of each kind."""

_ALPHABETS: Final = {
    "A": ascii_letters + digits,
    "a": ascii_lowercase + digits,
    "U": ascii_uppercase + digits,
    "B": ascii_uppercase + "234567",
    "h": "0123456789abcdef",
    "d": digits,
    "L": ascii_letters,
    "w": ascii_letters + digits + "_-",
    "b": ascii_letters + digits + "+/",
    "q": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}
UUID: Final = "<h8>-<h4>-<h4>-<h4>-<h12>"

# `<A36>` is 36 letters and digits; `|` is left out, and keeps scanners from reading a token here. Spelt apart from the
# table that is measured, on purpose.
KINDS: Final = {
    "AWS": ["AK|IA<B16>", "AS|IA<B16>", "AK|IA<B16>:<b40>"],
    "Google": ["AI|za<w35>", "GOC|SPX-<w28>", "ya|29.<w60>"],
    "Azure": ["DefaultEndpointsProtocol=https;AccountName=x;Account|Key=<b86>==", "<A3>8Q~<w34>"],
    "DigitalOcean": ["dop|_v1_<h64>", "doo|_v1_<h64>"],
    "Heroku": ["HR|KU-AA<w58>", f"HR|KU-{UUID}"],
    "Fly.io": ["fo|1_<w43>", "fm|2_<b100>"],
    "Netlify": ["nf|p_<A36>"],
    "Cloudflare": ["v1|.0-<h24>-<h146>"],
    "GitHub": ["gh|p_<A36>", "gh|o_<A36>", "gh|s_<A36>", "gh|u_<A36>", "gh|r_<A36>", "github|_pat_<A22>_<A59>"],
    "GitLab": ["gl|pat-<w20>", "gl|dt-<w20>", "gl|rt-<w20>", "gl|ptt-<h40>"],
    "Atlassian": ["ATA|TT3<w180>=<U8>", "AT|BB<A32>"],
    "npm": ["np|m_<A36>"],
    "PyPI": ["py|pi-AgEIcHlwaS5vcmc<w70>"],
    "RubyGems": ["ruby|gems_<h48>"],
    "crates.io": ["ci|o<A32>"],
    "NuGet": ["oy|2<a43>"],
    "Clojars": ["CLO|JARS_<a60>"],
    "Docker": ["dckr|_pat_<w27>"],
    "Artifactory": ["AK|Cp8<A68>"],
    "NATS": ["S|U<B56>", "S|A<B56>", "S|O<B56>", "S|N<B56>"],
    "age": ["AGE-SECRET|-KEY-1<q58>"],
    "Vault": ["hv|s.<w90>", "hv|b.<w140>", "hv|r.<w90>", "hv|s.<A24>"],
    "Terraform": ["<A14>.at|lasv1.<w67>"],
    "Pulumi": ["pu|l-<h40>"],
    "Doppler": ["dp|.pt.<A43>", "dp|.st.dev.<A43>"],
    "Tailscale": ["ts|key-auth-<A11>CNTRL-<A32>", "ts|key-api-<A11>CNTRL-<A32>"],
    "Grafana": ["gl|sa_<A32>_<h8>", "gl|c_<b80>="],
    "New Relic": ["NR|AK-<U27>"],
    "Sentry": ["sn|trys_<b80>=_<b43>", "sn|tryu_<h64>"],
    "Databricks": ["da|pi<h32>", "da|pi<h32>-2"],
    "PlanetScale": ["ps|cale_tkn_<w43>", "ps|cale_pw_<w43>"],
    "Supabase": ["sb|p_<h40>"],
    "Okta": ["0|0<w40>"],
    "Anthropic": ["sk-|ant-api03-<w93>AA"],
    "OpenAI": ["sk-|proj-<w120>", "sk-|<A20>T3|BlbkFJ<A20>", "sk-|svcacct-<w120>", "sk-|<A48>"],
    "Hugging Face": ["h|f_<L34>"],
    "Groq": ["gs|k_<A52>"],
    "Replicate": ["r|8_<A37>"],
    "Perplexity": ["pp|lx-<A48>"],
    "Stripe": ["sk|_live_<A24>", "rk|_live_<A24>", "sk|_live_<A99>", "wh|sec_<A32>"],
    "Square": ["sq|0atp-<w22>", "sq|0csp-<w43>"],
    "Shopify": ["shp|at_<h32>", "shp|ss_<h32>", "shp|ca_<h32>"],
    "Facebook": ["EA|AC<A120>"],
    "Slack": ["xo|xb-<d12>-<d12>-<A24>", "xo|xp-<d12>-<d12>-<d12>-<h32>", "xa|pp-1-A<U10>-<d13>-<h64>"],
    "Slack webhook": ["https://hooks.slack|.com/services/T<U8>/B<U8>/<A24>"],
    "Discord": ["https://discord|.com/api/webhooks/<d18>/<w68>", "M<A23>.<w6>.<w27>"],
    "Telegram": ["<d10>:A|A<w33>"],
    "Twilio": ["S|K<h32>"],
    "SendGrid": ["S|G.<w22>.<w43>"],
    "Mailgun": ["ke|y-<h32>"],
    "Mailchimp": ["<h32>-u|s12"],
    "Notion": ["nt|n_<A46>", "sec|ret_<A43>"],
    "Linear": ["lin|_api_<A40>"],
    "Postman": ["PM|AK-<h24>-<h34>"],
    "Figma": ["fi|gd_<w40>"],
    "Airtable": ["pa|t<A14>.<h64>"],
    "Dropbox": ["s|l.<w136>"],
    "JWT": ["ey|J<w30>.ey|J<w60>.<w43>"],
    "PEM": [
        "-----BEGIN |PRIVATE KEY-----<b60>", "-----BEGIN |RSA PRIVATE KEY-----",
        "-----BEGIN |OPENSSH PRIVATE KEY-----",
        "-----BEGIN |PGP PRIVATE KEY BLOCK-----", "-----BEGIN |EC PRIVATE KEY-----",
        "-----BEGIN |USER NKEY SEED-----",
        '{"type": "service_account", "private_key": "-----BEGIN |PRIVATE KEY-----"}',
    ],
}  # fmt: skip
"""Self-identifying kinds: found with nothing beside them."""

NAMES: Final = [
    *("PASSWORD", "DB_PASSWORD", "PASSWORD_PROD", "PGPASSWORD", "password", "db-password", "dbPassword", "passphrase"),
    *(
        "DB_PASS",
        "SMTP_PASS",
        "MYSQL_PWD",
        "pwd",
        "SECRET",
        "SECRET_KEY",
        "CLIENT_SECRET",
        "clientSecret",
        "client-secret",
    ),
    *(
        "TOKEN",
        "TOKEN_V2",
        "API_TOKEN",
        "authToken",
        "access_token",
        "refresh-token",
        "GITHUB_PAT",
        "GITLAB_PAT",
        "JWT",
    ),
    *(
        "API_KEY",
        "apiKey",
        "api-key",
        "x-api-key",
        "ACCESS_KEY",
        "PRIVATE_KEY",
        "ENCRYPTION_KEY",
        "SIGNING_KEY",
        "AUTH_KEY",
    ),
    *("AWS_SECRET_ACCESS_KEY", "STORAGE_ACCOUNT_KEY", "CREDENTIALS", "DB_CREDS", "SENTRY_DSN", "CONNECTION_STRING"),
]
"""Names that promise a secret, whatever stands behind them."""
VALUES: Final = ["hunter2", "<A12>", "<w24>", "<h32>", "correct-horse-<A4>", UUID, "<b40>"]

FORMS: Final = [
    "curl -u user:pw https://hub.example/coach", "curl -u worsch:<A10> https://hub.example",
    "curl --user worsch:<A10> https://x", "wget --user=worsch:<A8> https://hub.example",
    "mysql -u root -phunter22 fleet", "mysqldump -p<A9>1 fleet",
    "curl -H 'Authorization: ApiKey X' https://hub.example", "curl -H 'Authorization: ApiKey <A20>' https://x",
    "curl -H 'Authorization: Token <h40>'", "curl -H 'Authorization: Bearer <w30>'", "Authorization: Basic <b24>",
    "curl -H 'X-Api-Key: <A20>'", "curl -H 'X-Auth-Token: <A20>'", "curl --cookie session=<A20> https://x",
    "curl --cookie 'sid=<A20>; lang=en' https://x", "curl -b 'session=<A24>' https://x", "Cookie: session=<A24>",
    "https://x.blob.example/y?sv=2024-01-01&sig=<A40>%3D", "https://x.example/y?sig=<A20>",
    "https://maps.example/api?key=<A30>", "https://x.example/y?a=b&api_key=<A20>",
    "https://x.example/y?access_token=<A20>", "https://x.example/y?key=hunter2",
    "https://b.example/k?X-Amz-Signature=<h64>", "kaizen-agentic login --password 'correct horse battery staple'",
    'kaizen-agentic login --password "correct horse battery staple"', "PASSPHRASE='two words' kaizen-agentic",
    "https://worsch:<A8>@git.example/coach.git", "https://<A20>@git.example/coach.git", "postgres://u:<A8>@db/fleet",
    "nats://emitter:<A8>@nats.example:4222", "sshpass -p <A8> ssh hub",
    "docker login -u worsch -p <A10> registry.example", "redis-cli -h r.example -a <A12> ping",
    "machine hub.example login worsch password <A10>", "//npm.example/:_authToken=<A30>",
    "Server=db;User Id=sa;Password=<A12>;", '{"password": "<A10>"}', "'api_key': '<A20>'", r'{\"token\": \"<A20>\"}',
    "openssl rsa -passin pass:<A10> -in k", "export TOKEN=<A16>", "env API_KEY=<A16> kaizen-agentic", "--token <A16>",
    "--api-key=<A16>", "-password <A10>", "password: hunter2", "token => '<A20>'", 'secret := "<A20>"',
]  # fmt: skip
"""Usual forms of commands, headers, URLs and files."""

INNOCENT: Final = [
    "kaizen-agentic metrics record coach --success --time <s> --quality <0-1>",
    "ssh-keygen --private-key /home/worsch/.ssh/id_ed25519", "docker run --pwd /dir image",
    "tool --private-key /path", 'docker run -v "$PWD:/pwd" image', "docker run -u 1000:1000 -p 8080:80 image",
    "docker run -p 127.0.0.1:5432:5432 db", "python3 -m pip install -python3.11",
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:coach-AbCdEf",
    "TOKEN=arn:aws:secretsmanager:eu-central-1:123456789012:secret:coach-AbCdEf",
    "arn:aws:iam::123456789012:role/Coach", "--token TOKEN", "--password PASSWORD", "APARTMENTSANDMORE", "PASSWORD",
    "AUTHORIZATION", "CONFIGURATION_MANAGEMENT_TOOL", "--password-file /run/secrets/db",
    "--token-file=/run/secrets/token", "PASSWORD_FILE=/run/secrets/db", "--secret id=npmrc", "--secret-id coach",
    "--token-url https://hub.example/token", "TOKEN_TTL=3600", "max_tokens: 4096", "--tokens 4000",
    "--key-file ./certs/hub.key", "--cert ./certs/hub.pem --key ./certs/hub-key.pem", "--cookie-jar /tmp/jar",
    "--cookie jar.txt", "TOKEN=$TOKEN", "TOKEN=${TOKEN}", "TOKEN=${{ secrets.TOKEN }}", "--token <token>",
    "--token ${HUB_TOKEN}", "--token %TOKEN%", "--token {{ token }}", "--token {token}", "--token xxx",
    "--token xxxxxxxx", "--token XXXX-XXXX", "--token ***", "--password ********", "--password ...",
    "--api-key YOUR_API_KEY", "--api-key your-api-key", "--api-key changeme", "password=<password>", "password: ''",
    'token: ""', "password=None", "token=null", "secret: true", "secrets: inherit", "ghp_" + "x" * 36,
    "sk-ant-" + "x" * 40, "AKIA" + "X" * 16, "hvs." + "<token>", "glpat-" + "*" * 20, "Bearer $TOKEN",
    "Authorization: Bearer <token>", "Authorization: Bearer ${TOKEN}", "Authorization: ApiKey $KEY",
    "curl -u $USER:$PASS https://x", "curl -u <user>:<password> https://x", "https://${USER}.example/x",
    "https://x.example/y?key=<key>", "https://x.example/y?sig=$SIG",
    "https://hub.example/fleet?repo=kaizen-agentic&agent=coach", "https://hub.example/fleet?sort=key&page=2",
    "ssh://git@git.example/x", "git@git.example:kaizen/kaizen-agentic.git", "worsch@example.org",
    "https://hub.example:8443/@worsch", "a basic introduction, the bearer of good news",
    "the token bucket was empty; its secret ingredient is patience",
    "Ask for the password: please write to the owner", "the secret: never give up",
    "Token: a string that names a session", "password policy: at least twelve characters",
    "The key is under the mat.", "Authorization: please ask the owner first", "a cookie recipe with sugar",
    "pass the salt; pass --verbose to see more", "the key to success is practice",
    "reset your password at the front desk", "credentials are passed by environment", "Use your token to log in.",
    "tokens: 4000 in, 200 out", "keyboard shortcuts: ctrl-c copies", "secretary: worsch", "compass: north-east",
    "bypass=enabled", "PATH=/usr/local/bin:/usr/bin", "OLDPWD=/home/worsch", "PWD=/home/worsch/kaizen-agentic",
    "pattern: ^[a-z]+$", "path=/srv/x",
    "/home/worsch/Projects/2026-06-17_Kaizen-Agentic_Very_Long_Checkout_Name_No_17",
    r"C:\Users\Worsch\Source\Repos\Kaizen2026", "/srv/secrets-of-kaizen/password-policy",
    "/nix/store/b6gvzjyb2pg0kjfwrjmg1vfhh54ad73z-python3-3.11.9/bin/python", "blobs/v1/sha256/2c/<h64>.md.zst",
    "refs/v1/repo=x/agent=y/date=2026-06-17/<h64>.json", "sha256:<h64>", "sha512-<b86>==", "<h64>", "<h40>", "<h32>",
    "<h128>", "git checkout <h40>", "image@sha256:<h64>", UUID, f"urn:uuid:{UUID}", f"run {UUID} ended", "sha1=<h40>",
    "md5 <h32>", 'etag: "<h32>"', "commit <h40> by worsch", "<h7>..<h7>", "v1.2.3-rc.4+build.5",
    "2026-06-17T09:00:12.123456789Z", "10.0.0.1:4222", "[::1]:8222", "nats://nats.example:4222", "s3://bucket/key",
    "file:///srv/spool/x.md", "kaizen.schedule.prepared", "-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI<b43>", "age1" + "<a58>", "U<B55>", "A<B55>", "pk_live_<A24>",
    "--password-stdin", "--no-password", "--ask-pass", "--with-token", "docker login --password-stdin",
    "gh auth login --with-token", "kaizen-agentic metrics record secret-keeper --tokens 4000",
    "kaizen-agentic metrics record password-bot", "op://vault/item/password", "TOKEN=op://vault/item/token",
    "password=vault:secret/data/db#password", "token=os.environ['TOKEN']", "token = process.env.TOKEN",
    "password = getpass()", "token: secrets.HUB_TOKEN", "API_KEY=$(cat /run/secrets/key)", "--token @token.txt",
    "AWS_PROFILE=coach", "AWS_REGION=eu-central-1", "--profile coach --region eu-central-1", "--session-name coach",
    "--auth-mode oidc", "--keyboard de", "--monkey business", "--turkey soup", "hockey: puck", "donkey=kong",
    "--author worsch", "authority=hub.example", "signal: 9", "design: blue", "sigma=0.5", "--signature-algorithm rsa",
    "https://x.example/y?design=blue&signal=high",
]  # fmt: skip
"""Texts without a secret: placeholders, references, paths, digests, identifiers, prose."""


def made(template: str, random: Random) -> str:
    """Fill a template: `<A36>` becomes 36 random letters and digits."""
    return re.sub(
        "<([AaUBhdLwbq])([0-9]+)>",
        lambda match: "".join(random.choices(_ALPHABETS[match[1]], k=int(match[2]))),
        template.replace("|", ""),
    )


def positives() -> Iterator[tuple[str, str]]:
    """Yield (group, text with a secret)."""
    random = Random(SEED)
    for kind, templates in KINDS.items():
        for template in templates:
            for number in range(EACH):
                token = made(template, random)
                yield f"kind: {kind}", (token, f"push {token} now", f"'{token}'", f"x={token}")[number % 4]
    for name in NAMES:
        for number, value in enumerate(VALUES):
            filled = made(value, random)
            joints = (
                f"{name}={filled}",
                f"{name}: {filled}",
                f'{name}="{filled}"',
                f'"{name}": "{filled}"',
                f"--{name} {filled}",
            )
            yield "names", joints[(number + len(name)) % 5]
    for form in FORMS:
        yield "forms", made(form, random)


def negatives() -> Iterator[tuple[str, str]]:
    """Yield (group, text without a secret)."""
    random = Random(SEED)
    for template in INNOCENT:
        yield "innocent", made(template, random)
    for contract in ("kaizen.schedule.prepared@1", "kaizen.schedule.archived@1"):
        for case in cases(contract, "valid", "warnings"):
            for text in sorted(set(strings(json.loads(case.raw)))):
                yield "valid fixtures", text


def measure(
    may_hold: Callable[[str], bool] = may_be_secret,
) -> tuple[Mapping[str, list[str]], Mapping[str, int], list[str]]:
    """Return what was missed by group, how many there were by group, and the false alarms."""
    missed: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for group, text in positives():
        counts[group] = counts.get(group, 0) + 1
        if not may_hold(text):
            missed.setdefault(group, []).append(text)
    alarms = []
    for group, text in negatives():
        counts[group] = counts.get(group, 0) + 1
        if may_hold(text):
            alarms.append(text)
    return missed, counts, alarms


def main() -> int:
    """Print recall by group and the false alarms; 1 where a bar is missed."""
    missed, counts, alarms = measure()
    kinds = {group for group in counts if group.startswith("kind: ")}
    rates = {}
    for name, groups in (("kinds", kinds), ("names", {"names"}), ("forms", {"forms"})):
        there = sum(counts[group] for group in groups)
        rates[name] = 1 - sum(len(missed.get(group, ())) for group in groups) / there
        print(f"{name:8} {rates[name]:7.2%} of {there} found")
    for group, texts in missed.items():
        print(f"  missed in {group}: {', '.join(text[:70] for text in texts)}")
    innocent = counts["innocent"] + counts["valid fixtures"]
    print(f"{len(alarms)} false alarms in {innocent} texts" + "".join(f"\n  {text[:90]}" for text in alarms))
    print(f"{sum(counts.values())} texts in all")
    return int(rates["kinds"] < 0.9 or rates["names"] < 0.99 or rates["forms"] < 1 or bool(alarms))


if __name__ == "__main__":
    sys.exit(main())
