# Makes `noop` the default of all resources that are declared after it in this class or define, and in defines that those
# use, unless an open deployment of Tidegate has opened the service on this node. A resource's own `noop` wins.
#
# A metaparameter on the define would not do: Puppet hands it on only to what Class[main] contains (Compiler's
# add_resource_metaparams, 7.23). This is how the module trlinkin/noop does it.
Puppet::Functions.create_function(:'tidegate::noop_unless_open', Puppet::Functions::InternalFunction) do
  # @param key The service's key of `deploy.puppet.open_key`, such as `tradeapi::deployment`.
  # @return Whether the resources are in noop.
  dispatch :noop_unless_open do
    scope_param
    param 'String[1]', :key
    return_type 'Boolean'
  end

  def noop_unless_open(scope, key)
    return false if call_function('lookup', key, { 'default_value' => '' }) != ''

    scope.define_singleton_method(:lookupdefaults) do |type|
      noop = Puppet::Parser::Resource::Param.new(name: :noop, value: true, source: source)
      { noop: noop }.merge(super(type))
    end
    true
  end
end
