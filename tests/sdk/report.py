"""Reports a message and an error with its surroundings by the unmodified sentry-sdk: report.py DSN MARK."""

import sys

import sentry_sdk

dsn, mark = sys.argv[1:]
sentry_sdk.init(dsn=dsn, release="shop@1.4.2", environment="production")
sentry_sdk.set_user({"id": 42, "email": "ann@example.com"})
sentry_sdk.set_tag("mark", mark)
sentry_sdk.add_breadcrumb(category="cart", message="opened")
sentry_sdk.capture_message(f"message {mark}", level="warning")


def pay():
    try:
        int("x")
    except ValueError as error:
        raise RuntimeError("no price for tea") from error


try:
    pay()
except RuntimeError:
    sentry_sdk.capture_exception()
sentry_sdk.flush(timeout=30)
