"""A web application in one file: it says which stations there are."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])


def stations(_request):
    """List the stations, one a line."""
    return HttpResponse("hilltop\nharbour\nairfield\n", content_type="text/plain")


urlpatterns = [path("", stations)]
application = get_wsgi_application()
