import pytest
from foretell.redact import is_secret_name, redact, redact_text, redact_url


@pytest.mark.parametrize(
    "name",
    [
        "password", "db_passwd", "client_secret", "hf_token", "access_token", "token", "api_key",
        "apiKey", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "private-key", "credentials",
        "account_key", "sas_token", "Authorization", "WANDB_API_KEY",
    ],
)  # fmt: skip
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "pad_token", "eos_token", "max_tokens", "tokenizer", "key", "primary_key", "keep",
        "monkey", "seed", "path", "sort_key", "secretary",
    ],
)  # fmt: skip
def test_names_of_model_settings_that_only_look_like_it(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://key:secret@bucket/a", "s3://***@bucket/a"),
        ("https://x/y?X-Amz-Signature=abc&n=1", "https://x/y?X-Amz-Signature=***&n=1"),
        ("https://x/y?sv=1&sig=a%2Fb'", "https://x/y?sv=1&sig=***'"),
        ("read http://u@h/a and http://v:w@h/b", "read http://***@h/a and http://***@h/b"),
        ("mail me@example.org", "mail me@example.org"),
        ("s3://bucket/me@home", "s3://bucket/me@home"),
    ],
)
def test_urls(text, shown):
    assert redact_url(text) == shown


def test_values_of_secret_variables_are_hidden_wherever_they_stand():
    env = {"MY_TOKEN": "short", "AWS_SECRET_ACCESS_KEY": "abcdefgh", "HOME": "/root/home"}
    assert redact_text("key abcdefgh in /root/home, short", env) == "key *** in /root/home, short"


def test_plain_data_is_walked():
    data = {
        "options": {"api_key": "k", "deep": [{"password": 7, "n": 1}], "pad_token": "<pad>"},
        "url": "s3://a:b@c",
        "secret": None,
        "use_secret": True,
    }
    assert redact(data, env={}) == {
        "options": {"api_key": "***", "deep": [{"password": "***", "n": 1}], "pad_token": "<pad>"},
        "url": "s3://***@c",
        "secret": None,
        "use_secret": True,
    }
