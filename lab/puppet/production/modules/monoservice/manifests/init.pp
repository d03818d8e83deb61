# What every service of a node has in common: whose node it is and where its files are.
#
# @param node          The node's inventory name.
# @param address       The address that services listen on.
# @param repository    The artifact repository's URL, without a slash at the end.
# @param releases      Where artifacts are unpacked.
# @param definitions   Where runit definitions are written.
# @param supervised    The folder that the node's runsvdir watches.
# @param logs          One folder a service is made here.
class monoservice (
  String[1] $node,
  String[1] $address,
  Pattern[/\Ahttp:\/\/.*[^\/]\z/] $repository,
  Pattern[/\A\/.*[^\/]\z/] $releases,
  Pattern[/\A\/.*[^\/]\z/] $definitions,
  Pattern[/\A\/.*[^\/]\z/] $supervised,
  Pattern[/\A\/.*[^\/]\z/] $logs,
) {
  $tools = "${releases}/.tools"

  file { [$releases, $definitions, $supervised, $logs, $tools]:
    ensure => directory,
  }

  ['unpack', 'supervised'].each |String $tool| {
    file { "${tools}/${tool}":
      ensure  => file,
      mode    => '0755',
      content => file("monoservice/${tool}.sh"),
    }
  }
}
