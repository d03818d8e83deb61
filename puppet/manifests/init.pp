# What the node says of itself to Tidegate: a file that names its environment and its ledger.
#
# @param environment  The environment's name, as the inventory's `tidegate_environment`.
# @param ledger       The ledger in which its deployments are, as the inventory's `tidegate_ledger`, without a password.
# @param protected    Whether it is a protected environment.
# @param folder       Where the file `target.json` is.
class tidegate (
  Pattern[/\A[a-z][a-z0-9_-]{0,62}\z/] $environment,
  Pattern[/\A[^"\\[:cntrl:]]+\z/] $ledger,
  Boolean $protected = true,
  Pattern[/\A(\/|[A-Za-z]:\/)/] $folder = $facts['os']['family'] ? {
    'windows' => 'C:/ProgramData/PuppetLabs/tidegate',
    default   => '/etc/tidegate',
  },
) {
  # Everybody on the node may read the file. The value is not told: Puppet's log and reports are read by more.
  if $ledger =~ /\/\/[^\/?#]*:[^\/?#]*@/ {
    fail('Class[Tidegate]: ledger has a password; give its URL without one')
  }

  file { $folder:
    ensure => directory,
  }

  # What a run's report tells of them to Tidegate; a schedule does nothing by itself.
  schedule { ["tidegate environment ${environment}", "tidegate ledger ${ledger}"]: }

  # No value can hold what JSON would need to escape.
  file { "${folder}/target.json":
    ensure  => file,
    content => "{\"environment\": \"${environment}\", \"protected\": ${protected}, \"ledger\": \"${ledger}\"}\n",
  }
}
