use strict;
use warnings;
use IO::Socket::INET;

$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1)
    or die "cannot listen: $@\n";
$| = 1;
print "ready\n";
while (1) {
    my $client = $server->accept or next;
    while (<$client>) { last if /^\r?\n$/ }
    print $client "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
    close $client;
}
