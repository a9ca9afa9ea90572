"""A shop: a Django application that needs SECRET_KEY, and says at /healthz that it is well."""

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY=os.environ["SECRET_KEY"])
django.setup()


def page(_request):
    """Answer with a page."""
    return HttpResponse("The shop is open.\n", content_type="text/plain")


urlpatterns = [path("", page), path("healthz", page)]
application = get_wsgi_application()
