"""Reports twenty messages one after the other by the unmodified sentry-sdk: many.py DSN."""

import sys

import sentry_sdk

sentry_sdk.init(dsn=sys.argv[1])
for number in range(20):
    sentry_sdk.capture_message(f"message {number}")
    sentry_sdk.flush(timeout=30)
