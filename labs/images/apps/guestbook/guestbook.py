"""A guestbook: a Django application in one file, whose settings come from the environment.

| variable | says | default |
|---|---|---|
| `GREETING` | the first words of the page | Welcome |
| `DATABASE` | the SQLite file that keeps the entries | /var/lib/guestbook/entries.sqlite3 |
| `SECRET_KEY` | what Django signs with | a new one at every start |

`gunicorn guestbook:application` serves it; the file RELEASE beside it names its release.
"""

import os
import secrets
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.urls import path

HERE = Path(__file__).parent
DATABASE = os.environ.get("DATABASE", "/var/lib/guestbook/entries.sqlite3")

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_hex(),
    USE_TZ=True,
)
django.setup()


def release() -> str:
    """Return the release that this is."""
    file = HERE / "RELEASE"
    return file.read_text().strip() if file.exists() else "unreleased"


def page(_request):
    """Greet, and say which release it is that greets."""
    greeting = os.environ.get("GREETING", "Welcome")
    return HttpResponse(f"{greeting}: release {release()}\n", content_type="text/plain")


def entries(request):
    """List the entries; by POST, add one."""
    Path(DATABASE).parent.mkdir(parents=True, exist_ok=True)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS entries (words TEXT)")
        if request.method == "POST":
            cursor.execute("INSERT INTO entries VALUES (%s)", [request.body.decode()])
        cursor.execute("SELECT words FROM entries")
        return JsonResponse({"entries": [words for (words,) in cursor.fetchall()]})


urlpatterns = [path("", page), path("entries", entries)]
application = get_wsgi_application()
