"""The counting application, which has its store beside it."""

import visits

visits.serve(lambda _page: "http://localhost:7000")
