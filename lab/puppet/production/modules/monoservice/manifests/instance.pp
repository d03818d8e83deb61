# One .NET service at one version: its artifact is fetched, checked, unpacked and run under runit.
#
# @param version  The version to run.
# @param digest   The artifact's sha256; an artifact with another one is refused.
# @param port     The port that the service listens on.
# @param restart  Whether a new release restarts the service. With false Puppet installs it and reports success
#                 while the old one goes on serving, as a forgotten `notify` would.
# @param settings Variables of the service's environment.
# @param break    Whether the run fails before the new release is in place.
define monoservice::instance (
  Pattern[/\A[0-9A-Za-z][0-9A-Za-z.+-]*\z/] $version,
  Pattern[/\A[0-9a-f]{64}\z/] $digest,
  Integer[1, 65535] $port,
  Boolean $restart = true,
  Boolean $break = false,
  Hash[String[1], String] $settings = {},
) {
  include monoservice

  tidegate::took { $title:
    values => { "${title}::version" => $version, "${title}::digest" => $digest },
  }

  $service = $title
  $home = "${monoservice::releases}/${service}"
  $archive = "${home}/.archives/${service}-${version}.tar.gz"
  $definition = "${monoservice::definitions}/${service}"
  $log = "${monoservice::logs}/${service}"

  file { [$home, "${home}/.archives", $definition, "${definition}/log", $log]:
    ensure => directory,
  }

  file { $archive:
    ensure         => file,
    source         => "${monoservice::repository}/${service}/${version}/${service}-${version}.tar.gz",
    checksum       => sha256,
    checksum_value => $digest,
  }

  if $break {
    exec { "${service} cannot be installed":
      command   => ['/bin/sh', '-c', "echo '${service}::break is set in the data of ${monoservice::node}'; exit 1"],
      logoutput => true,
      require   => File[$archive],
      before    => Exec["unpack ${service} ${version}"],
    }
  }

  exec { "unpack ${service} ${version}":
    command => ["${monoservice::tools}/unpack", $archive, $digest, "${home}/${version}"],
    unless  => [["${monoservice::tools}/unpack", '--is-done', $digest, "${home}/${version}"]],
    require => [File[$archive], Class['monoservice']],
  }

  file { "${home}/current":
    ensure  => link,
    target  => $version,
    require => Exec["unpack ${service} ${version}"],
  }

  file { "${definition}/run":
    ensure  => file,
    mode    => '0755',
    content => epp('monoservice/run.epp', {
        'service'  => $service,
        'listen'   => "${monoservice::address}:${port}",
        'node'     => $monoservice::node,
        'current'  => "${home}/current",
        'settings' => $settings,
    }),
  }

  file { "${definition}/log/run":
    ensure  => file,
    mode    => '0755',
    content => epp('monoservice/log.epp', { 'log' => $log }),
    require => File[$log],
  }

  # Linked last: runsvdir starts what it finds here.
  file { "${monoservice::supervised}/${service}":
    ensure  => link,
    target  => $definition,
    require => File["${home}/current", "${definition}/run", "${definition}/log/run"],
  }

  $supervised = "${monoservice::tools}/supervised"
  $entry = "${monoservice::supervised}/${service}"
  service { $service:
    ensure     => running,
    provider   => base,
    hasstatus  => true,
    hasrestart => true,
    start      => "${supervised} start ${entry}",
    stop       => "${supervised} stop ${entry}",
    restart    => "${supervised} restart ${entry}",
    status     => "${supervised} status ${entry}",
    require    => File[$entry],
  }

  if $restart {
    Exec["unpack ${service} ${version}"] ~> Service[$service]
    File["${home}/current"] ~> Service[$service]
    File["${definition}/run"] ~> Service[$service]
  }
}
