# The tradeapi service. Tidegate pins `tradeapi::version` and `tradeapi::digest` in the global Hiera layer.
#
# @param version  The version to run.
# @param digest   The sha256 of that version's artifact.
# @param port     The port that it listens on.
# @param restart  Whether a new release restarts the service.
# @param break    Whether the installation fails.
class tradeapi (
  String[1] $version,
  String[1] $digest,
  Integer $port,
  Boolean $restart = true,
  Boolean $break = false,
) {
  monoservice::instance { 'tradeapi':
    version => $version,
    digest  => $digest,
    port    => $port,
    restart => $restart,
    break   => $break,
  }
}
