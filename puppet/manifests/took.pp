# Tells Tidegate which values a service's Puppet code took, in the report of the run: a version that is pinned and not
# taken (a typo in its key, data above the pin) is told as that, before anything is tested.
#
#   tidegate::took { 'tradeapi': values => { 'tradeapi::version' => $version, 'tradeapi::digest' => $digest } }
#
# The title is the service's name, as in its descriptor.
#
# @param values  By key, the value that the code goes on with.
define tidegate::took (
  Hash[Pattern[/\A[a-z][a-z0-9_]*(::[a-z0-9_]+)*\z/], Pattern[/\A[^\s\[\]"']{1,200}\z/]] $values,
) {
  # A schedule does nothing by itself, never changes, and is in the report by its name.
  $values.each |$key, $value| {
    schedule { "tidegate took ${title} ${key} ${value}": }
  }
}
