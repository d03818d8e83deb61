# Which services a node runs is data: `classes` in data/hosts/<certname>.yaml.
include tidegate
lookup('classes', Array[String], 'unique', []).include
