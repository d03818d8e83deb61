# The tradeapi service. Tidegate pins `tradeapi::version` and `tradeapi::digest` in the global Hiera layer.
#
# @param version  The version to run.
# @param digest   The sha256 of that version's artifact.
# @param port     The port that it listens on.
# @param restart  Whether a new release restarts the service.
# @param break    Whether the installation fails.
# @param settings Variables of the service's environment; a change restarts it.
# @param quiet    Whether it changes in deployments only, as the descriptor's `open_key` says.
class tradeapi (
  String[1] $version,
  String[1] $digest,
  Integer $port,
  Boolean $restart = true,
  Boolean $break = false,
  Hash[String[1], String] $settings = {},
  Boolean $quiet = false,
) {
  if $quiet {
    tidegate::noop_unless_open('tradeapi::deployment')
  }

  monoservice::instance { 'tradeapi':
    version  => $version,
    digest   => $digest,
    port     => $port,
    restart  => $restart,
    break    => $break,
    settings => $settings,
  }
}
