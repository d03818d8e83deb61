# A level of Hiera's global layer (`lookup_key`): the values that Tidegate pinned on the node itself, in its fact
# `tidegate_pins`. What a node says of itself can be anything: only the keys that the level names are taken from it.
#
# @param key     The key that is looked up.
# @param options `keys`: the keys that nodes may say of themselves, such as `tradeapi::version`.
# @param context Hiera's own.
# @return The value, if the node has one pinned.
function tidegate::pinned_by_the_node(String[1] $key, Hash $options, Puppet::LookupContext $context) {
  $pins = $facts['tidegate_pins']
  if $key in $options['keys'] and $pins =~ Hash and $key in $pins {
    $pins[$key]
  } else {
    $context.not_found
  }
}
