import os
import urllib.error
import urllib.request

import pytest


@pytest.fixture(autouse=True)
def reset_database():
    request = urllib.request.Request(
        os.environ.get("COMMANDBUS_DB_URL", "http://localhost:8081") + "/reset",
        method="POST",
        headers={"Authorization": f"Bearer {os.environ['RESET_TOKEN']}"},
    )
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as error:
        pytest.fail(f"reset: {error.code} {error.read().decode()}", pytrace=False)
    except urllib.error.URLError as error:
        pytest.fail(f"reset: {request.full_url}: {error.reason}", pytrace=False)
