# The pricefeed service. Tidegate pins `pricefeed::version` and `pricefeed::digest` in the global Hiera layer.
#
# @param version  The version to run.
# @param digest   The sha256 of that version's artifact.
# @param port     The port that it listens on.
# @param restart  Whether a new release restarts the service.
# @param break    Whether the installation fails.
class pricefeed (
  String[1] $version,
  String[1] $digest,
  Integer $port,
  Boolean $restart = true,
  Boolean $break = false,
) {
  monoservice::instance { 'pricefeed':
    version => $version,
    digest  => $digest,
    port    => $port,
    restart => $restart,
    break   => $break,
  }
}
