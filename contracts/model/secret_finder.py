"""Find secrets in a text: tokens that identify themselves, values behind telling names, and usual forms of commands.

The table of kinds is our own: prefix, alphabet and length are published by the vendors. It is exact and needs no
library; `python -m tests.support.secret_recall` measures it. Entropy is not measured: it takes digests and paths for
secrets, and a gate with false alarms is switched off. Imported on suspicion only, since it takes a while to compile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final, NamedTuple

from contracts.model.url_credentials import URL_CREDENTIALS


class Secret(NamedTuple):
    """A secret in a text: its kind, and where it is."""

    kind: str
    start: int
    end: int


# Kind -> pattern. Each starts at the start of a word. Lengths are bounded, so that hostile text costs linear time;
# `%` stands for letters and digits, and a token ends where its alphabet does.
_KINDS: Final = {
    # Cloud providers
    "AWS Access Key": r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}(?![%])",
    "AWS Bedrock Key": r"(?:ABSK|bedrock-api-key-)[%+/=]{40,300}",
    "Google API Key": r"AIza[%_-]{35}",
    "Google OAuth Token": r"(?:GOCSPX-[%_-]{20,40}|ya29\.[%_-]{20,300}|1//0[%_-]{30,120})",
    "Azure Storage Key": r"(?:AccountKey|SharedAccessKey)=[%+/]{32,100}={0,2}",
    "Azure Client Secret": r"[%][%_~.]{2}[0-9]Q~[%_~.-]{31,34}",
    "Azure DevOps Token": r"[%]{76}AZDO[%]{4}|[%]{52}JQQJ99[%]{26}",
    "Alibaba Access Key": r"LTAI[%]{16,20}(?![%])",
    "Tencent Access Key": r"AKID[%]{32}(?![%])",
    "DigitalOcean Token": r"do[opr]_v1_[0-9a-f]{64}",
    "Cloudflare Token": r"(?:cf(?:ut|at|k)_[%_-]{30,80}|v1\.0-[0-9a-f]{24}-[0-9a-f]{146})",
    "Heroku Token": r"HRKU-[%_-]{30,80}",
    "Fly.io Token": r"f(?:o1|m1[ar]|m2)_[%+/_=-]{30,500}",
    "Netlify Token": r"nf[bcopu]_[%]{36}",
    "Vercel Token": r"vc[akirp]_[%]{24,64}",
    "Render Token": r"rnd_[%]{28,40}",
    "Scaleway Access Key": r"SCW[A-Z0-9]{17}(?![%])",
    "IBM Softlayer Key": r"(?i:softlayer\.com/[^\s/]{0,80}:)[a-z0-9]{64}",
    # Source code and packages
    "GitHub Token": r"(?:gh[oprsu]_[%]{36,255}|github_pat_[%_]{36,255})",
    "GitLab Token": r"(?:gl(?:pat|ptt|dt|rt|rtr|cbt|ft|imt|agent|oas|soat|ffct|wt)-[%_.-]{20,300}|GR1348941[%_-]{20})",
    "Bitbucket Token": r"(?:ATBB[%]{24,36}|BBDC-[%+/]{40,50})",
    "Atlassian Token": r"(?:ATATT3|ATCTT3|ATSTT3)[%_=-]{20,300}",
    "NPM Token": r"npm_[%]{36}",
    "PyPI Token": r"pypi-Ag[%_-]{40,300}",
    "RubyGems Token": r"rubygems_[0-9a-f]{48}",
    "Cargo Token": r"cio(?=[a-z]{0,32}[0-9A-Z])[%]{32}(?![%])",
    "NuGet Key": r"oy2[a-z0-9]{43}(?![%])",
    "Clojars Token": r"CLOJARS_[a-z0-9]{60}",
    "Docker Token": r"dckr_(?:pat|oat)_[%_-]{20,50}",
    "Artifactory Token": r"(?:AKCp?[%]{17,80}|AP(?=[A-Z0-9]{0,80}[a-z])[0-9A-F][%]{30,80}|cmVmdGtuOjAxO[%]{40,80})",
    "SonarQube Token": r"sq[apu]_[0-9a-f]{40}",
    "Sourcegraph Token": r"sgp_(?:[%-]{1,20}_)?[0-9a-f]{40}",
    "CircleCI Token": r"CC(?:IPAT|IPRJ)_[%]{15,30}_[0-9a-f]{40}",
    "Buildkite Token": r"bk(?:ua|aj|at|ct)_[0-9a-f]{40}",
    "Deno Token": r"dd[opw]_[%]{36}",
    # Secrets and infrastructure
    "NATS Seed": r"S[ACNOUX][A-Z2-7]{56}(?![%])",
    "age Secret Key": r"AGE-SECRET-KEY-(?:1|PQ-1)[02-9AC-HJ-NP-Z]{50,100}",
    "Vault Token": r"(?:hv[bsr]\.[%_-]{20,300}|[sb]\.(?=[a-zA-Z]{0,24}[0-9])(?=[a-z0-9]{0,24}[A-Z])[%]{24}(?![%]))",
    "Terraform Token": r"[%]{14}\.atlasv1\.[%_=-]{40,80}",
    "Pulumi Token": r"pul-[0-9a-f]{40}",
    "Doppler Token": r"dp\.(?:pt|st|ct|sa|scim|audit|said)\.[%._-]{30,80}",
    "Tailscale Key": r"tskey-[%]{2,20}-[%-]{10,100}",
    "1Password Token": r"(?:ops_eyJ[%+/=_-]{40,1000}|A3(?:-[A-Z0-9]{5,11}){5,6}(?![%-]))",
    "Infracost Token": r"ico-[%]{32}",
    "Grafana Token": r"(?:glsa_[%]{32}_[0-9a-fA-F]{8}|glc_[%+/=]{32,400}|eyJrIjoi[%+/=]{30,400})",
    "New Relic Key": r"(?:NRAK|NRJS|NRII|NRIQ|NRSP|NRRA)-[%_-]{19,50}",
    "Sentry Token": r"(?:sntry[su]_[%+/=_-]{32,400})",
    "Datadog Token": r"ddapp_[%]{30,50}",
    "Dynatrace Token": r"dt0[a-z][0-9]{2}\.[A-Z0-9]{8,24}\.[A-Z0-9]{64}",
    "Honeycomb Key": r"hc[abx]i[ck]_[a-z0-9]{58}",
    "PagerDuty Key": r"pdus\+_[%_+-]{20,60}",
    "OpenShift Token": r"sha256~[%_-]{43}",
    "Databricks Token": r"dapi[0-9a-f]{32}(?:-[0-9])?",
    "PlanetScale Token": r"pscale_(?:tkn|pw|oauth|api)_[%_.=-]{32,64}",
    "Supabase Token": r"(?:sbp_(?:oauth_|v0_)?[0-9a-f]{40}|sb_secret_[%_-]{20,60})",
    "Neon Key": r"napi_[a-z0-9]{60,70}",
    "Prefect Key": r"pn[ub]_[%]{36}",
    "Harness Token": r"(?:pat|sat)\.[%_-]{22}\.[0-9a-f]{24}\.[%]{20}",
    "Octopus Key": r"API-(?=[A-Z]{0,26}[0-9])[A-Z0-9]{26}(?![%])",
    "Scalingo Token": r"tk-us-[%_-]{48}",
    "Okta Token": r"00(?=[a-z0-9_-]{0,40}[A-Z])(?=[A-Z0-9_-]{0,40}[a-z])[%_-]{40}(?![%_-])",
    # Models
    "Anthropic Key": r"sk-ant-[%_-]{20,250}",
    "OpenAI Token": r"(?:sk-(?:proj|svcacct|admin|None|service)-[%_-]{20,300}|sk-(?=[a-z]{0,64}[0-9A-Z])[%]{32,64})",
    "OpenRouter Key": r"sk-(?:or-v1|lf)-[0-9a-f-]{32,70}",
    "Hugging Face Token": r"(?:hf_[%]{30,40}|api_org_[%]{30,40})",
    "Groq Key": r"gsk_[%]{40,64}",
    "xAI Key": r"xai-[%]{40,100}",
    "Replicate Token": r"r8_[%]{37,40}",
    "Perplexity Key": r"pplx-[%]{32,64}",
    "LangSmith Key": r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}",
    "Pinecone Key": r"pcsk_[%_]{40,100}",
    "NVIDIA Key": r"nvapi-[%_-]{40,90}",
    "Tavily Key": r"tvly-[%_-]{20,60}",
    "Apify Token": r"apify_api_[%]{30,50}",
    "Cerebras Key": r"csk-[a-z0-9]{40,60}",
    "Fireworks Key": r"fw_[%]{20,40}(?![%])",
    # Payment and shops
    "Stripe Access Key": r"(?:[rs]k_(?:live|test|prod)_[%]{10,250}|whsec_[%+/=]{24,80})",
    "Square Token": r"(?:sq0(?:atp|csp|idp)-[%_\\-]{22,43}|EAAA[%_-]{60})",
    "Shopify Token": r"shp(?:at|ca|pa|ss|ua|tka)_[0-9a-fA-F]{32}",
    "Braintree Token": r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
    "Plaid Token": r"access-(?:sandbox|development|production)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "Razorpay Key": r"rzp_(?:live|test)_[%]{14,24}",
    "Flutterwave Key": r"FLWSECK(?:_TEST)?-[%]{12,40}",
    "EasyPost Key": r"EZ[AT]K[%]{54}",
    "Shippo Token": r"shippo_(?:live|test)_[0-9a-f]{40}",
    "Duffel Token": r"duffel_(?:test|live)_[%_=-]{43}",
    "Lob Key": r"(?:live|test)_[0-9a-f]{35}(?![0-9a-f])",
    # Messages and mail
    "Slack Token": r"(?:xox[abceoprs](?:\.xox[bp])?-[%-]{15,250}|xapp-[%-]{15,250}|xwfp-[%-]{15,250})",
    "Slack Webhook": r"(?i:hooks\.slack\.com/(?:services|workflows|triggers)/)[%+/_-]{5,100}",
    "Discord Webhook": r"(?i:(?:[a-z]{2,9}\.)?discord(?:app)?\.com/api/(?:v[0-9]/)?webhooks/)[0-9]{5,25}/[%_-]{20,99}",
    "Discord Bot Token": r"[MNO][%_-]{23,27}\.[%_-]{6}\.[%_-]{27,40}",
    "Teams Webhook": r"(?i:[a-z0-9-]{1,60}\.webhook\.office\.com/webhookb2|outlook\.office\.com/webhook)/[%@/-]{30,99}",
    "Zapier Webhook": r"(?i:hooks\.zapier\.com/hooks/catch/)[0-9]{3,12}/[%]{4,20}",
    "Telegram Bot Token": r"[0-9]{8,10}:AA[%_-]{32,34}(?![%_-])",
    "Twilio API Key": r"(?:SK|AC)[0-9a-f]{32}(?![%])",
    "SendGrid API Key": r"SG\.[%_-]{16,32}\.[%_-]{16,64}",
    "Mailgun Key": r"(?:key-[%]{32}(?![%])|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?![%-]))",
    "Mailchimp Access Key": r"[0-9a-f]{32}-us[0-9]{1,2}(?![%])",
    "Brevo Key": r"x(?:key|smtp)sib-[0-9a-f]{64}-[%]{16}",
    "Resend Key": r"re_[%]{8}_[%]{20,30}",
    # Work
    "Notion Token": r"(?:ntn_[%]{40,52}|secret_[%]{43}(?![%]))",
    "Linear Key": r"lin_(?:api|oauth)_[%]{32,64}",
    "Postman Key": r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    "Figma Token": r"fig[dour]_[%_-]{20,60}",
    "Airtable Token": r"pat[%]{14}\.[0-9a-f]{64}",
    "Asana Token": r"[0-9]/[0-9]{16}(?:/[0-9]{16})?:[0-9a-f]{32}",
    "Dropbox Token": r"sl\.(?:u\.)?[%_-]{40,1500}",
    "Contentful Token": r"CFPAT-[%_-]{43}",
    "HubSpot Token": r"pat-(?:na|eu|ap)[0-9]-[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "Typeform Token": r"tfp_[%_.=-]{40,70}",
    "ReadMe Key": r"rdme_[a-z0-9]{70}",
    "Mapbox Token": r"sk\.eyJ[%_-]{20,200}\.[%_-]{15,60}",
    "Facebook Token": r"EAA(?=[a-zA-Z]{0,80}[0-9])[A-Z][%]{20,400}",
    "PostHog Key": r"phx_[%]{40,60}",
    "LaunchDarkly Key": r"(?:api|sdk)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "MaxMind Key": r"[%]{6}_[%]{29}_mmk",
    "WakaTime Key": r"waka_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "ClickHouse Key": r"4b1d[%]{38}(?![%])",
    # Any vendor
    "JSON Web Token": r"ey[JK][%_-]{17,2000}\.[%_-]{8,4000}\.[%_-]{0,1000}",
}
_PRIVATE_KEY = re.compile(
    r"BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|BEGIN (?:USER|ACCOUNT|OPERATOR|[A-Z]{1,20}) NKEY SEED"
    r"|BEGIN NATS USER JWT|PuTTY-User-Key-File-[0-9]"
)

# A name and what joins it to its value. A name behind `$` or `${` is a reference, and the value stands elsewhere.
_ASSIGNED = re.compile(
    r"(?<![A-Za-z0-9_.$-])(?<!\$\{)(?P<name>[A-Za-z0-9_.-]{2,80}+)"
    r"(?:\\?[\"'\]]){0,3}(?P<joint>\s{0,8}(?:=>|:=|[:=])\s{0,8}|\s{1,8})"
    r"(?P<quote>\\?[\"']|)"
)
_QUOTED = {
    '"': re.compile(r'[^"]{1,256}'),
    "'": re.compile(r"[^']{1,256}"),
    '\\"': re.compile(r'[^"\\]{1,256}'),
    "\\'": re.compile(r"[^'\\]{1,256}"),
    "": re.compile(r"[^\s\"'<>]{1,256}"),
}
# Last parts of a name that make it the name of something about a secret: `--token-file`, `password_policy`.
_NEUTRAL_WORDS: Final = """
file files path paths dir directory folder url uri urls name names id ids type kind count counts len length limit
limits max min ttl age expiry expires expiration expire policy policies rule rules arn ref refs store manager
provider env var hash algo algorithm format field header headers prefix suffix bucket keeper counter usage budget
size hint help prompt label labels scope scopes audience issuer status enabled disabled required rotation endpoint
host port user username source location mode command cmd function class sha1 sha256 sha512 md5 digest fingerprint
checksum jar list timeout interval version owner email template schema index table column reader service server
client bot action stdin tty ui page form screen dialog link reset change
"""
_NEUTRAL: Final = frozenset(_NEUTRAL_WORDS.split())
_PARTS: Final = frozenset(
    (
        "pass",
        "pwd",
        "pw",
        "pat",
        "jwt",
        "dsn",
        "cred",
        "creds",
        "sas",
        "psk",
        "otp",
        "totp",
        "nkey",
        "secret",
        "secrets",
    )
)
_ENDINGS: Final = (
    *(
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "passwort",
        "pass",
        "token",
        "secret",
        "credential",
        "credentials",
    ),
    *("apikey", "accesskey", "privatekey", "authkey", "secretkey", "signingkey", "encryptionkey", "masterkey"),
    *(
        "accountkey",
        "sharedkey",
        "licensekey",
        "servicekey",
        "deploykey",
        "sessionkey",
        "hmackey",
        "clientkey",
        "sshkey",
    ),
    *(
        "connectionstring",
        "connstr",
        "connstring",
        "integrationkey",
        "ingestkey",
        "webhooksecret",
        "rootkey",
        "writekey",
    ),
)
_NO_ENDINGS: Final = ("bypass", "compass", "surpass", "trespass", "overpass", "underpass", "encompass")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# Values that are no secret: placeholders, references, words that say where the secret comes from.
_PLACEHOLDER = re.compile(
    r"""(?ix) [<$%*{(`@\[-] | \.\.\. | x{3,} | [x*.#_-]{2,}\Z | (.)\1+\Z | (?:id|src|source|type|name)=
    | (?:your|insert|enter|replace|put|provide|paste)[-_ ]
    | .{0,80}(?:change[-_]?me|redacted|placeholder|\*\*\*|x{6}|0{12})
    | (?:example|dummy|fake|sample|some|my|the|a|new|test)[-_ ](?:api[-_]?)?(?:key|token|secret|password|value|pass)\Z
    | (?:none|null|nil|true|false|yes|no|on|off|required|optional|prompt|ask|env|stdin|file|vault|keyring|disabled
        |enabled|default|undefined|empty|unset|inherit|include|omit|same-origin|todo|tbd|n/a|example|string|str|bytes|hidden
        |secret|bearer|basic|auto|any|missing|expired|invalid|valid)\b[,;.)]*\Z
    | (?:os|process|env|environ|secrets|vars|config|settings|self|github|inputs|var|data|local|module|args|opts)\.[a-z_]
    | (?:getenv|environ|env|input|getpass|lookup|vault|secret|ENC|op|ssm|secretsmanager|keyring|file|arn|urn
        |ref\+\w+)[\[(:]
    """
)
_METAVAR = re.compile(r"[A-Z][A-Z_-]{1,40}[,;.)\]]*\Z")
_PATH = re.compile(r"(?:~?|\.{1,2}|[A-Za-z]:)[/\\]|\\\\|~")
_FILE = re.compile(
    r"[\w./\\-]{1,200}\.(?:pem|key|txt|json|ya?ml|toml|env|crt|cer|p12|pfx|jks|asc|gpg|pub|conf|cfg|ini|creds|nk|md"
    r"|sh|py)\Z"
)
_RANDOM = re.compile(r"(?=[^/\\]*[a-z])(?=[^/\\]*[A-Z])(?=[^/\\]*[0-9])[A-Za-z0-9+=_-]{20,}")
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)
# `arn:aws:secretsmanager:…:secret:name` names a secret, and holds none; `boundary/secret: place` is a rule of ours.
_RESOURCE = re.compile(r"\b(?:(?:arn|urn):\S*|boundary/)\Z")
_ORDINARY = re.compile(r"[A-Za-z]+[,.;!?]?(?=\s+[A-Za-z])")

# Without the header's name, "a basic introduction" is prose: a token has a digit, or the padding of base 64.
_AUTHORIZATION = re.compile(
    r"(?i)(?:authorization(?:\\?[\"'])?\s{0,8}[:=]\s{0,8}(?:\\?[\"'])?"
    r"(?:bearer|basic|token|api-?key|key|digest|negotiate|ntlm|jwt|hmac|splunk|genie-?key|sso-key"
    r"|aws4-hmac-sha256)\s{1,8}"
    r"|authorization(?:\\?[\"'])?\s{0,8}[:=]\s{0,8}(?:\\?[\"'])?(?=[^\s\"']{0,200}[0-9=])(?=[^\s\"']{8})"
    r"|\b(?:bearer|basic)\s{1,8}(?=[^\s\"']{0,200}[0-9=])(?=[^\s\"']{8}))"
    r"(?P<value>[A-Za-z0-9+/=._~:,-]{1,2000})"
)
# Forms that give a secret without a telling name. The value is the group.
_FORMS: Final = (
    # curl -u user:password
    (
        r"\b(?:curl|wget)\b[^\n]{0,2000}?\s(?:-u|-U|--user|--proxy-user)[\s=]{0,4}[\"']?[^\s:\"']{1,80}:"
        r"(?P<value>[^\s\"']{1,200})"
    ),
    # mysql -phunter2; a digit tells it from `-python` and `-path`
    (
        r"(?:(?<=\s)|\A)-p(?!(?:ython|ath|ort|re|ro|gsql|g|ar|kg|ip|th|lu|ack|rint|age|oint|oly|ixel|hp|ublic|2p|4)"
        r"[a-z0-9.=_-]*(?:\s|\Z))(?=[^\s\"']{0,80}[0-9])(?P<value>[A-Za-z][^\s\"'=:/]{4,80})"
    ),
    r"\bsshpass\s{1,8}-p\s{0,8}[\"']?(?P<value>[^\s\"']{3,200})",
    # docker login -u user -p password
    r"\blogin\b[^\n]{0,400}?\s-p\s{1,8}[\"']?(?P<value>[^\s\"']{3,200})",
    (
        r"\bredis-cli\b[^\n]{0,400}?\s-a\s{1,8}[\"']?"
        r"(?P<value>[^\s\"']{3,200})"
    ),
    # .netrc
    r"(?i)\blogin\s{1,8}\S{1,80}\s{1,8}password\s{1,8}(?P<value>[^\s\"']{3,200})",
    # Cookie: session=…
    (
        r"(?i)(?:--cookie[\s=]{1,8}|\bcurl\b[^\n]{0,400}?\s-b\s{0,8}|\b(?:set-)?cookie(?:\\?[\"'])?\s{0,8}:\s{0,8})[\"']?"
        r"[A-Za-z0-9_.-]{1,80}=(?P<value>[^\s\"';]{4,2000})"
    ),
    # ?sig=… and ?key=…
    (
        r"(?i)[?&#;](?:sig|signature|x-(?:amz|goog|ms)-signature|x-amz-security-token)="
        r"(?P<value>[^\s\"'&#;]{6,2000})"
    ),
    (
        r"(?i)[?&#;](?:[a-z_-]{0,20}(?<!public)(?<!public[_-])key|auth|sas|session)="
        r"(?P<value>(?=[^\s\"'&#;]{0,40}[0-9]|[^\s\"'&#;]{20})[^\s\"'&#;]{6,2000})"
    ),
)


def secrets_in(text: str) -> Iterator[Secret]:
    """Yield each secret of the text, by way of finding it; one place may be yielded twice."""
    for match in _AUTHORIZATION.finditer(text):
        if not _PLACEHOLDER.match(match["value"]) and not _METAVAR.match(match["value"]):
            yield Secret("Authorization Header", *match.span("value"))
    yield from _assigned(text)
    for match in _PRIVATE_KEY.finditer(text):
        yield Secret("Private Key", match.start(), len(text))  # what follows is the key
    for match in _kinds().finditer(text):
        if not _is_mask(match[0]):
            yield Secret(_kind_names()[match.lastindex or 0], *match.span())
    for form in _forms():
        for match in form.finditer(text):
            if _is_literal(match["value"], least=1):
                yield Secret("Secret in a Usual Form", *match.span("value"))


def _assigned(text: str) -> Iterator[Secret]:
    at = 0
    while match := _ASSIGNED.search(text, at):
        at = match.end("name")
        name = match["name"]
        is_option = name.startswith("-")
        if not (is_option or match["joint"].strip()) or not is_telling(name):
            continue
        value = _QUOTED[match["quote"]].match(text, match.end())
        if value is None or _RESOURCE.search(text, max(0, match.start() - 200), match.start()):
            continue
        found = value[0]
        if _is_literal(found) and not _is_prose(match, found, text):
            yield Secret("Secret Keyword", *value.span())
            at = value.end()


@lru_cache(maxsize=4096)
def is_telling(name: str) -> bool:
    """Say whether the name promises a secret: `DB_PASS`, `--api-key`, `clientSecret`; not `token_file` or `tokens`."""
    parts = [part.rstrip("0123456789") for part in re.split(r"[_.-]+", _CAMEL.sub("_", name).lower())]
    parts = [part for part in parts if part]
    if not parts or (len(parts) > 1 and parts[-1] in _NEUTRAL):
        return False
    for index, part in enumerate(parts):
        pair = "".join(parts[index : index + 2])
        if part in _PARTS or (part == "pat" and (index or name.startswith("-"))) or pair.endswith(_ENDINGS):
            return not part.endswith(_NO_ENDINGS)
        if part.endswith(_ENDINGS) and not part.endswith(_NO_ENDINGS):
            return True
    return False


def _is_literal(value: str, *, least: int = 4) -> bool:
    """Say whether a value could be the secret itself: no placeholder, reference, path or name of a file."""
    if _PATH.match(value):
        return _RANDOM.search(value) is not None and _FILE.match(value) is None
    if len(value) < least or _PLACEHOLDER.match(value) or _METAVAR.match(value) or _FILE.match(value):
        return False
    if _URL.match(value):
        return URL_CREDENTIALS.match(value) is not None or "sig=" in value
    return not (value.rstrip(",;").isdigit() and len(value) < 4)


def _is_prose(match: re.Match[str], value: str, text: str) -> bool:
    """Tell `password: hunter2` from a sentence: `the token: a word that follows`."""
    joint = match["joint"]
    if match["quote"] or joint.strip() != ":" or joint[-1] not in " \t\n" or len(value) > 15:
        return False
    return _ORDINARY.match(text, match.end()) is not None and value.rstrip(",.;!?").isalpha()


def _is_mask(token: str) -> bool:
    return re.search(r"([xX*0.#])\1{7}|<|\$\{", token) is not None


@cache
def _kinds() -> re.Pattern[str]:
    kinds = "|".join(f"({pattern.replace('%', 'A-Za-z0-9')})" for pattern in _KINDS.values())
    return re.compile(f"(?<![A-Za-z0-9])(?=[A-Za-z0-9]\\S{{9}})(?:{kinds})")  # the shortest has ten characters


@cache
def _kind_names() -> tuple[str, ...]:
    return ("", *_KINDS)


@cache
def _forms() -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, _FORMS))
