# Makes `noop` the default of all resources that are declared after it in this class or define, and in defines that those
# use, unless an open deployment of Tidegate has opened the service on this node. A resource's own `noop` wins.
#
# Which of the two it is stands in the report of the run, as the name of a schedule: like `tidegate::took`.
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
    deployment = call_function('lookup', key, { 'default_value' => '' })
    # `false`, `~` or a list in the data is no deployment's id: it opens nothing.
    open = deployment.is_a?(String) && !deployment.strip.empty?
    tell(scope, "tidegate #{open ? 'opened' : 'closed'} #{key}")
    return false if open

    scope.define_singleton_method(:lookupdefaults) do |type|
      noop = Puppet::Parser::Resource::Param.new(name: :noop, value: true, source: source)
      { noop: noop }.merge(super(type))
    end
    true
  end

  # Once in a catalog, whichever classes ask for the same key.
  def tell(scope, title)
    return if scope.compiler.findresource("Schedule[#{title}]")

    told = Puppet::Parser::Resource.new('schedule', title, scope: scope, source: scope.source)
    scope.compiler.add_resource(scope, told)
  end
end
