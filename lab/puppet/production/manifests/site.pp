# Which services a node runs is data: `classes` in data/hosts/<certname>.yaml.
lookup('classes', Array[String], 'unique', []).include
