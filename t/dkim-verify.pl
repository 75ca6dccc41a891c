#!/usr/bin/perl
# dkim-verify.pl KEYS [FILE...]
#
# Verifies all DKIM signatures of the messages in FILEs, or of the one on standard
# input, with Mail::DKIM and the public keys in KEYS (lines
# "SELECTOR._domainkey.DOMAIN v=DKIM1; ..."): no DNS. One line a signature, behind
# the file's name; exit 0 if each message has at least one and all pass. A signature
# by an algorithm that this Mail::DKIM does not know is "skip"; exit 77 if there is
# nothing else.
use strict;
use warnings;

use Mail::DKIM::DNS;
use Mail::DKIM::PublicKey;
use Mail::DKIM::Verifier;

package KeyRecord;

sub new {
	my ( $class, $text ) = @_;
	return bless { text => $text }, $class;
}
sub type    { return 'TXT'; }
sub txtdata { my $self = shift; return $self->{text}; }
sub can_be_found { return 1; }

package main;

die "usage: dkim-verify.pl KEYS [FILE...]\n" unless @ARGV >= 1;

my %record;
my $file = shift @ARGV;
open( my $keys, '<', $file ) or die "$file: $!\n";
while (<$keys>) {
	chomp;
	my ( $name, $text ) = split( /\s+/, $_, 2 );
	$record{ lc $name } = $text;
}
close($keys);

{
	no warnings 'redefine';
	my $query = sub {
		my ($name) = @_;
		my $text = $record{ lc $name };
		return defined $text ? ( KeyRecord->new($text) ) : ();
	};
	*Mail::DKIM::DNS::query       = $query;
	*Mail::DKIM::DNS::query_async = sub {
		my ( $name, $type, %prms ) = @_;
		my @found = $query->($name);
		my $good  = $prms{Callbacks}->{Success};
		return sub { return $good ? $good->(@found) : @found; };
	};
}

# One message: its signatures that passed, that failed, that can't be judged.
sub verify {
	my ( $label, $message ) = @_;
	my ( $passed, $failed, $unknown ) = ( 0, 0, 0 );

	$message =~ s/\r?\n/\r\n/g;
	my $dkim = Mail::DKIM::Verifier->new;
	$dkim->PRINT($message);
	$dkim->CLOSE;
	for my $s ( $dkim->signatures ) {
		my $algorithm = $s->algorithm     // '';
		my $detail    = $s->result_detail // '';
		if ( $algorithm eq 'ed25519-sha256' && $detail =~ /unsupported algorithm/ ) {
			print $label, 'skip s=', $s->selector,
			  " a=$algorithm: not known to this Mail::DKIM\n";
			$unknown++;
			next;
		}
		my $good = $s->result eq 'pass';
		printf "%s%s d=%s s=%s a=%s: %s\n", $label, $good ? 'pass' : 'FAIL',
		  $s->domain // '', $s->selector // '', $algorithm, $detail;
		$good ? $passed++ : $failed++;
	}
	my ($head) = $message =~ /\A(.*?\r\n)(?:\r\n|\z)/s;
	my $wanted = () = ( $head // '' ) =~ /^DKIM-Signature:/mig;
	if ( $wanted == 0 || $passed + $failed + $unknown != $wanted ) {
		print "${label}FAIL only ", $passed + $failed, " of $wanted signatures were read\n";
		$failed++;
	}
	return ( $passed, $failed );
}

my ( $passed, $failed ) = ( 0, 0 );
local $/ = undef;
for my $path ( @ARGV > 0 ? @ARGV : ('-') ) {
	my $in = \*STDIN;
	if ( $path ne '-' ) {
		open( $in, '<', $path ) or die "$path: $!\n";
	}
	binmode( $in, ':raw' );
	my ( $p, $f ) = verify( $path eq '-' ? '' : "$path: ", scalar <$in> );
	$passed += $p;
	$failed += $f;
}
exit( $failed > 0 ? 1 : $passed > 0 ? 0 : 77 );
