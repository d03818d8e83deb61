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
    'windows' => 'C:/ProgramData/tidegate',
    default   => '/etc/tidegate',
  },
) {
  file { $folder:
    ensure => directory,
  }

  # No value can hold what JSON would need to escape.
  file { "${folder}/target.json":
    ensure  => file,
    content => "{\"environment\": \"${environment}\", \"protected\": ${protected}, \"ledger\": \"${ledger}\"}\n",
  }
}
